"""The checks of a machine."""

from pathlib import Path

import pytest

from stackbert import doctor


def test_every_check_passes_here(tmp_path):
    findings = {finding.name: finding for finding in doctor.examine(tmp_path / "not" / "there" / "yet")}
    assert {name for name, finding in findings.items() if not finding.good} == set()
    assert str(tmp_path) in findings["disk"].detail
    assert "finetune work" in findings["whole chain"].detail


def test_failed_check_does_not_prevent_the_others(monkeypatch: pytest.MonkeyPatch):
    def broken() -> tuple[bool, str]:
        raise OSError("no such device")

    for name in ("_devices", "_bfloat16", "_chain"):
        monkeypatch.setattr(doctor, name, broken)
    monkeypatch.setattr(doctor, "MIN_DISK", 1e18)
    findings = {finding.name: finding for finding in doctor.examine(Path())}
    assert findings["whole chain"] == doctor.Finding("whole chain", False, "OSError: no such device")
    assert findings["disk"].detail.endswith("are recommended")
    assert findings["python"].good
