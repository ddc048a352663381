"""Hashes of files and JSON values."""

from pathlib import Path

from stackbert.core.hashing import file_sha256, json_sha256


def test_a_file_is_hashed_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert file_sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_json_value_is_hashed_without_regard_to_the_order_of_keys() -> None:
    assert json_sha256({"a": 1, "b": "ü"}) == json_sha256({"b": "ü", "a": 1}) != json_sha256({"a": 1, "b": "u"})
