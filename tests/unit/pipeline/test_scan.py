"""A scan passes only where every package was looked up and nothing is known against it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline import scan
from pipeline.errors import StepError

CLEAN = {"name": "anyio", "version": "4.16.0", "vulns": []}
FOUND = {"name": "uvloop", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"]}]}
SKIPPED = {"name": "httptools", "skip_reason": "Dependency not found on PyPI"}


def answers(monkeypatch: pytest.MonkeyPatch, code: int, output: str, error: str = "") -> None:
    def run(command: Any, **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, code, output, error)

    monkeypatch.setattr(scan.subprocess, "run", run)


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages})


def test_clean_scan_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    answers(monkeypatch, 0, report(CLEAN, CLEAN))
    assert scan.scan(tmp_path) == scan.ScanResult(2)


@pytest.mark.parametrize(
    ("code", "output", "error", "why"),
    [
        (1, report(CLEAN, FOUND), "", "uvloop 0.1: PYSEC-1, fixed in 0.2"),
        (1, report(SKIPPED, FOUND), "", "uvloop 0.1: PYSEC-1, fixed in 0.2"),
        (0, report(CLEAN, SKIPPED), "", r"1 of 2 packages could not be looked up \(httptools is the first\)"),
        (1, "", "Traceback\n  at\nConnectionError: no route", "did not answer: ConnectionError: no route"),
        (2, report(CLEAN), "", "did not answer: exit code 2"),
    ],
)
def test_anything_else_fails_the_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, output: str, error: str, why: str
):
    answers(monkeypatch, code, output, error)
    with pytest.raises(StepError, match=why):
        scan.scan(tmp_path)
