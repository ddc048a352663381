"""The checks of a machine."""

from pathlib import Path

import pytest

from stackbert import doctor


def test_every_check_passes_on_a_machine_that_passes_the_tests(tmp_path):
    findings = {finding.name: finding for finding in doctor.examine(tmp_path / "not" / "there" / "yet")}
    assert {name for name, finding in findings.items() if not finding.good} == set()
    assert str(tmp_path) in findings["disk"].detail
    assert "finetune ran" in findings["whole chain"].detail


def test_a_check_that_fails_says_so_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch):
    def broken() -> tuple[bool, str]:
        raise OSError("no such device")

    for name in ("_devices", "_bfloat16", "_chain"):
        monkeypatch.setattr(doctor, name, broken)
    monkeypatch.setattr(doctor, "LEAST_DISK", 1e18)
    findings = {finding.name: finding for finding in doctor.examine(Path())}
    assert findings["whole chain"] == doctor.Finding("whole chain", False, "OSError: no such device")
    assert findings["disk"].detail.endswith("are advised")
    assert findings["python"].good
