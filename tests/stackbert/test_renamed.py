"""Options of 0.1 under their present names."""

import dataclasses
from typing import get_type_hints

from stackbert.cli import COMMANDS
from stackbert.renamed import RENAMED, with_present_names


def test_an_old_name_is_replaced_and_said(capsys):
    given = ["out/labels", "--held-out-share", "0.1", "--held_out_rows=8", "--row-length", "32"]
    expected = ["out/labels", "--validation-share", "0.1", "--validation-rows=8", "--row-length", "32"]
    assert list(with_present_names(given)) == expected
    assert capsys.readouterr().err.splitlines() == [
        "--held-out-share is now called --validation-share",
        "--held_out_rows is now called --validation-rows",
    ]


def test_present_names_are_options_and_old_ones_are_not():
    configs = {hint for command in COMMANDS.values() for hint in get_type_hints(command).values()}
    fields = [field for config in configs if dataclasses.is_dataclass(config) for field in dataclasses.fields(config)]
    options = {"--" + field.name.replace("_", "-") for field in fields}
    assert set(RENAMED.values()) <= options
    assert not set(RENAMED) & options
