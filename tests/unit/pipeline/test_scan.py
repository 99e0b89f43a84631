"""A scan passes only where every package and the image was looked up and nothing is known against it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline import scan
from pipeline.errors import StepError, UsageError

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
        (
            1,
            "",
            "Traceback\n  at\nConnectionError: no route",
            "packages were not scanned, because pip-audit failed: ConnectionError: no route",
        ),
        (2, report(CLEAN), "", "because pip-audit failed: exit code 2"),
    ],
)
def test_anything_else_fails_the_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, output: str, error: str, why: str
):
    answers(monkeypatch, code, output, error)
    with pytest.raises(StepError, match=why):
        scan.scan(tmp_path)


def grype(monkeypatch: pytest.MonkeyPatch, folder: Path, line: str) -> Path:
    """Put a simulated grype on PATH; return the file with its arguments."""
    program, log = folder / "grype", folder / "log"
    program.write_text(f'#!/bin/sh\necho "$*" > {log}\n{line}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(scan, "_scan_packages", lambda _root: 2)
    return log


def test_image_is_scanned_for_what_has_a_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    log = grype(monkeypatch, tmp_path, "")
    assert scan.scan(tmp_path, "addressbook:src-1") == scan.ScanResult(2, "addressbook:src-1")
    assert log.read_text() == "docker:addressbook:src-1 --only-fixed --fail-on high\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("exit 2", "addressbook:1 has known vulnerabilities that newer versions fix"),
        ("echo 'no route' >&2; exit 1", "not scanned, because grype failed: no route"),
    ],
)
def test_vulnerable_or_unread_image_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, why: str):
    grype(monkeypatch, tmp_path, line)
    with pytest.raises(StepError, match=why):
        scan.scan(tmp_path, "addressbook:1")


def test_missing_scanner_is_reported_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"grype is not on PATH, .* scan addressbook:1; install it .*\.github/tools '' grype"
    ):
        scan.scan(tmp_path, "addressbook:1")
