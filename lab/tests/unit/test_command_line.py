"""The command line: help with examples, and errors without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import doctor
from lab.layout import Lab
from lab.project import CHECKOUT

COMMANDS = ("up", "down", "status", "doctor", "env", "rehearse")


def _lab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    result = _lab(*command, "--help")
    assert result.returncode == 0
    assert "Example: " in result.stdout


def test_unknown_command_is_an_error() -> None:
    assert _lab("start").returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_invalid_lab_name_is_a_one_line_error(command: str) -> None:
    result = _lab(command, *(["prod"] if command == "rehearse" else []), ADDRESSBOOK_LAB_NAME="../etc")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lab: ADDRESSBOOK_LAB_NAME='../etc' is not a valid name")
    assert len(result.stderr.splitlines()) == 1


def test_status_without_a_lab_creates_nothing(tmp_path: Path) -> None:
    variables = {"ADDRESSBOOK_LAB_NAME": "nowhere-lab", "ADDRESSBOOK_LAB_NETWORK": "10.98.0.0/16"}
    result = _lab("status", "--output", "json", **variables, XDG_CACHE_HOME=str(tmp_path))
    assert result.returncode == 1
    status = json.loads(result.stdout)
    assert (status["running"], status["serving"], status["components"]) == (False, False, {})
    assert not Path("/var/lib/nowhere-lab").exists()
    assert not Path("/run/nowhere-lab").exists()


def test_doctor_without_root_names_the_remedy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    failed = [finding for finding in doctor.examine(lab) if not finding.ok]
    assert [finding.line() for finding in failed] == ["✗ user: user id 1000 — run it as root: sudo -E make up"]


def test_doctor_finds_a_full_disk(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.cache.mkdir()
    monkeypatch.setattr(doctor, "FREE_DISK", 1 << 60)
    (disk,) = [finding for finding in doctor.machine(lab) if finding.check == "disk"]
    assert not disk.ok
    assert "free at /var/lib" in disk.found
    assert disk.remedy.startswith("free ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to try namespaces")
def test_doctor_finds_a_network_in_use(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.network.routes", lambda: [{"dst": "10.99.0.0/16", "dev": "tun0"}])
    (addresses,) = [finding for finding in doctor.machine(lab) if finding.check == "addresses"]
    assert not addresses.ok
    assert "10.99.0.0/16 on tun0" in addresses.found
    assert "ADDRESSBOOK_LAB_NETWORK" in addresses.remedy


def test_doctor_lists_images_of_an_empty_cache(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.debian.mirror_answers", lambda: True)
    finding = doctor._base_images(lab)
    assert finding.ok
    assert "library/python:3.11-slim-bookworm" in finding.found
