"""The balance of rows read, kept and dropped."""

from corpora.balance import Balance


def balance() -> Balance:
    counted = Balance("corpus")
    counted.kept = 1_000
    counted.drop("b", 3)
    counted.drop("a", 0)
    counted.drop("aa")
    return counted


def test_counts_add_up() -> None:
    assert balance().counts() == {"read": 1_004, "kept": 1_000, "dropped": {"aa": 1, "b": 3}}


def test_the_text_lists_reasons_by_name() -> None:
    assert str(balance()) == "corpus: read 1,004 = kept 1,000 + aa 1 + b 3"
