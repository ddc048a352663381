"""What rows look like, and lines that hide some."""

from corpora.files.shape import RowShape, shape_of

ROWS = [[f"{number}", f"a title about {'sockets ' * (number % 9)}", f"tag-{number}"] for number in range(40)]
SHAPE = RowShape.of(ROWS)


def test_columns_with_few_shapes_tell_a_row() -> None:
    assert SHAPE.columns[0] == {"0"} and SHAPE.columns[1] is None and SHAPE.columns[2] == {"w-0"}
    assert SHAPE.is_telling
    assert SHAPE.fits(["99", "anything at all", "bug-7"])
    assert not SHAPE.fits(["x9", "anything at all", "bug-7"])
    assert not SHAPE.fits(["99", "bug-7"])
    assert not RowShape.of([["a b", ""], ["a - b c", ""], ["d.", ""]]).is_telling


def test_prose_has_no_shape() -> None:
    assert shape_of("x" * 100) is None
    assert shape_of("  v1.2 beta ") == "w.0 w"


def test_lines_that_each_look_like_a_row_hide_rows() -> None:
    lines = ['7,"a title,tag-7\n', "8,a second title,tag-8\n", '9,the third",tag-9\n']
    assert SHAPE.hides_rows(lines, ",")
    assert not SHAPE.hides_rows([lines[0], "x = f(a),b,c\n", lines[2]], ",")  # looks like no row
    assert not SHAPE.hides_rows(['7,"a text\n', "8,b,tag-8\n", 'of lines",tag-7\n'], ",")
    assert not SHAPE.hides_rows([lines[0], '8,""a"",tag-8\n', lines[2]], ",")  # quoted on purpose


def test_without_a_telling_column_many_lines_with_as_many_delimiters_hide_rows() -> None:
    shape = RowShape.of([[f"a{'b c' * n}", "d " * n] for n in range(30)])
    assert not shape.is_telling
    assert not shape.hides_rows(["a,b\n"] * 9, ",")
    assert shape.hides_rows(["a,b\n"] * 10, ",")


def test_shapes_of_a_few_damaged_rows_are_no_habit() -> None:
    damaged = [["three", "four", "left over"], ["17.5", "x", "- and so on"]]
    shape = RowShape.of(ROWS * 5 + damaged)
    assert shape.columns == SHAPE.columns
    assert not shape.fits(damaged[0])
