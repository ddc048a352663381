"""Tables of made-up posts, whose cells are of every type and whose tags are in every notation, with what is meant."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

WORDS = (
    "python",
    "c#",
    "c++",
    ".net",
    "asp.net",
    "node.js",
    "null",
    "2.0",
    "r",
    "nan",
    "Java",
    "os-x",
    "naïve",
    "数据",
)
PHRASES = ("sql server", "machine learning", "user interface", "data export", "visual studio code", "spring boot")
ODD = ("printing, scanning", "a;b", "it's", 'say "hi"', "f(x)", "back\\slash", "<T>", "x|y", "[draft]", "{id}", "R&D")
TEXTS = st.text(st.sampled_from("abc XYZ 019 .,;:|'\"#<>()[]{}&%\\/-\n é→数"), max_size=40)
PLAIN_TEXTS = ("null", "NaN", "None", "NA", "1.0", "True", "007", "1e5", "[]", "{}", "2021-03-04", "0")
COLUMNS = ("id", "title", "body", "tags", "date")


@dataclass
class Made:
    """A table to write, and the posts that it means."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Cells as they are written."""
    ids: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    tags: list[tuple[str, ...]] = field(default_factory=list)
    dates: list[datetime | None] = field(default_factory=list)
    is_text: bool = True
    """Whether all cells are texts or numbers, so that a CSV can hold them."""
    notation: str = ""
    """Of the tags; a name in NOTATIONS, or a type."""


def _numpy(tags: tuple[str, ...]) -> str:
    return str(np.array(tags, dtype=object)) if tags else "[]"


def _postgres(tags: tuple[str, ...]) -> str:
    def item(tag: str) -> str:
        plain = tag.upper() != "NULL" and not any(sign in tag for sign in ' ",{}\\')
        return tag if plain else '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(map(item, tags)) + "}"


def _without(signs: str, *pools: tuple[str, ...]) -> list[str]:
    return [tag for pool in pools for tag in pool if not any(sign in tag for sign in signs)]


NOTATIONS: dict[str, tuple[Callable[[tuple[str, ...]], str], list[str]]] = {
    "angle": (lambda tags: "".join(f"<{tag}>" for tag in tags), _without("<>", WORDS, PHRASES, ODD)),
    "pipe": ("|".join, _without("|", WORDS, PHRASES)),
    "bounded pipe": (lambda tags: f"|{'|'.join(tags)}|" if tags else "", _without("|", WORDS, PHRASES, ODD)),
    "comma": (", ".join, [*WORDS, *PHRASES]),
    "tight comma": (",".join, [*WORDS, *PHRASES]),
    "semicolon": (";".join, _without(";", WORDS, PHRASES)),
    "newline": ("\n".join, [*WORDS, *PHRASES]),
    "space": (" ".join, list(WORDS)),
    "json": (lambda tags: json.dumps(list(tags)), [*WORDS, *PHRASES, *ODD]),
    "json objects": (lambda tags: json.dumps([{"id": 7, "name": tag} for tag in tags]), [*WORDS, *PHRASES, *ODD]),
    "python objects": (lambda tags: str([{"id": 7, "name": tag} for tag in tags]), [*WORDS, *PHRASES, *ODD]),
    "python": (lambda tags: str(list(tags)), [*WORDS, *PHRASES, *ODD]),
    "python tuple": (lambda tags: str(tags), [*WORDS, *PHRASES, *ODD]),
    "numpy": (_numpy, [*WORDS, *PHRASES, *ODD]),
    "postgres": (_postgres, [*WORDS, *PHRASES, *ODD]),
    "brackets": (lambda tags: f"[{', '.join(tags)}]", _without(",[]{}\"'", WORDS, PHRASES)),
    "single": (lambda tags: tags[0] if tags else "", [*WORDS, *PHRASES]),
}


@st.composite
def tables(draw: st.DrawFn) -> Made:
    """A table of 1 to 60 rows."""
    rows = draw(st.integers(1, 60))
    made = Made()
    _ids(draw, made, rows)
    made.titles, made.columns["title"] = _texts(draw, made, rows)
    made.bodies, made.columns["body"] = _texts(draw, made, rows)
    _tags(draw, made, rows)
    _dates(draw, made, rows)
    return made


def _ids(draw: st.DrawFn, made: Made, rows: int) -> None:
    kind = draw(st.sampled_from(["int", "gaps", "text", "bytes", "decimal", "long", "versions"]))
    numbers = draw(st.lists(st.integers(0, 10**6), min_size=rows, max_size=rows, unique=True))
    made.ids = [str(number) for number in numbers]
    made.columns["id"] = numbers
    if kind == "gaps" and rows > 1:
        made.ids[0] = ""
        made.columns["id"] = [None, *map(float, numbers[1:])]
    elif kind == "text":
        made.ids = made.columns["id"] = [f"PROJ-{number}" for number in numbers]
    elif kind == "bytes":
        made.columns["id"], made.is_text = [str(number).encode() for number in numbers], False
    elif kind == "decimal":
        made.columns["id"], made.is_text = [Decimal(number) for number in numbers], False
    elif kind == "long":
        made.ids = [str(number + 10**17) for number in numbers]
        made.columns["id"] = [number + 10**17 for number in numbers]
    elif kind == "versions":
        made.ids = made.columns["id"] = ["1.0", *(f"1.{number}" for number in numbers[1:])]


def _texts(draw: st.DrawFn, made: Made, rows: int) -> tuple[list[str], list[Any]]:
    texts = draw(st.lists(st.one_of(TEXTS, st.sampled_from(PLAIN_TEXTS)), min_size=rows, max_size=rows))
    kind = draw(st.sampled_from(["text", "text", "bytes", "missing"]))
    if kind == "bytes":
        made.is_text = False
        return texts, [text.encode() for text in texts]
    if kind == "missing":
        return ["", *texts[1:]], [None, *texts[1:]]
    return texts, list(texts)


def _tags(draw: st.DrawFn, made: Made, rows: int) -> None:
    kind = draw(st.sampled_from([*NOTATIONS, "lists", "objects", "classes", "class gaps", "bytes"]))
    pool = NOTATIONS[kind][1] if kind in NOTATIONS else [*WORDS, *PHRASES, *ODD]
    if kind in ("single", "bytes"):
        pool = [*WORDS, *PHRASES]
    known = draw(st.lists(st.sampled_from(pool), min_size=2, max_size=8, unique=True))
    most = 1 if kind in ("single", "classes", "class gaps", "bytes") else draw(st.integers(1, 4))
    sets = st.lists(st.sampled_from(known), max_size=most, unique=True)
    made.tags = [tuple(tags) for tags in draw(st.lists(sets, min_size=rows, max_size=rows))]
    if kind in NOTATIONS:
        write = NOTATIONS[kind][0]
        made.columns["tags"] = [write(tags) if tags or kind not in ("single",) else "" for tags in made.tags]
    elif kind == "lists":
        made.columns["tags"], made.is_text = [list(tags) for tags in made.tags], False
    elif kind == "objects":
        made.columns["tags"] = [[{"id": 1, "name": tag} for tag in tags] for tags in made.tags]
        made.is_text = False
    elif kind == "bytes":
        made.columns["tags"], made.is_text = [tags[0].encode() if tags else None for tags in made.tags], False
    else:
        made.tags = [(str(known.index(tags[0])),) if tags else () for tags in made.tags]
        whole = float if kind == "class gaps" else int
        if kind == "classes":
            made.tags = [tags or ("0",) for tags in made.tags]
        made.columns["tags"] = [whole(tags[0]) if tags else None for tags in made.tags]
    made.notation = kind


def _dates(draw: st.DrawFn, made: Made, rows: int) -> None:
    kind = draw(
        st.sampled_from(["typed", "day", "iso", "space", "zone", "seconds", "millis", "european", "american", "mail"])
    )
    moments = [
        datetime(2001, 9, 10, tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, 900_000_000))) for _ in range(rows)
    ]
    forms: dict[str, Callable[[datetime], Any]] = {
        "typed": lambda moment: moment,
        "day": lambda moment: moment.date(),
        "iso": lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "space": lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
        "zone": lambda moment: moment.astimezone(timezone(timedelta(hours=-5))).isoformat(),
        "seconds": lambda moment: int(moment.timestamp()),
        "millis": lambda moment: int(moment.timestamp()) * 1000,
        "european": lambda moment: moment.strftime("%d/%m/%Y %H:%M:%S"),
        "american": lambda moment: moment.strftime("%m/%d/%Y %I:%M:%S %p"),
        "mail": lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    }
    made.is_text = made.is_text and kind not in ("typed", "day")
    if kind == "day":
        moments = [datetime(moment.year, moment.month, moment.day, tzinfo=UTC) for moment in moments]
    made.dates = [None if draw(st.integers(0, 9)) == 0 else moment for moment in moments]
    made.columns["date"] = [None if moment is None else forms[kind](moment) for moment in made.dates]


def write_csv(made: Made, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        cells = (["" if cell is None else cell for cell in made.columns[name]] for name in COLUMNS)
        writer.writerows(zip(*cells, strict=True))


def write_pandas_csv(made: Made, path: Path) -> None:
    pd.DataFrame({name: pd.Series(made.columns[name]) for name in COLUMNS}).to_csv(path, index=False)


def write_polars_csv(made: Made, path: Path) -> None:
    pl.DataFrame({name: made.columns[name] for name in COLUMNS}, strict=False).write_csv(path)


def _json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def write_json_lines(made: Made, path: Path) -> None:
    rows = ({name: _json_value(made.columns[name][row]) for name in COLUMNS} for row in range(len(made.ids)))
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def write_polars_json(made: Made, path: Path) -> None:
    columns = {name: [_json_value(cell) for cell in made.columns[name]] for name in COLUMNS}
    pl.DataFrame(columns, strict=False).write_ndjson(path)


def write_pyarrow(made: Made, path: Path) -> None:
    pq.write_table(pa.table({name: pa.array(made.columns[name]) for name in COLUMNS}), path)


def write_pandas_parquet(made: Made, path: Path) -> None:
    pd.DataFrame({name: pd.Series(made.columns[name]) for name in COLUMNS}).to_parquet(path)


def write_polars_parquet(made: Made, path: Path) -> None:
    pl.DataFrame({name: made.columns[name] for name in COLUMNS}).write_parquet(path)


CSV_WRITERS = {"csv": write_csv, "pandas csv": write_pandas_csv, "polars csv": write_polars_csv}
OTHER_WRITERS = {
    "json lines": write_json_lines,
    "polars json": write_polars_json,
    "pyarrow": write_pyarrow,
    "pandas parquet": write_pandas_parquet,
    "polars parquet": write_polars_parquet,
}
ENDINGS = {"csv": "csv", "json": "jsonl", "pyarrow": "parquet", "parquet": "parquet", "lines": "jsonl"}
