"""The command line: help with an example everywhere, and one clear sentence for what can't be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import doctor
from lab.layout import CHECKOUT, Lab

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
    shown = _lab(*command, "--help")
    assert shown.returncode == 0
    assert "Example: " in shown.stdout


def test_a_command_that_does_not_exist_is_an_error() -> None:
    assert _lab("start").returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_name_is_one_sentence_and_no_traceback(command: str) -> None:
    shown = _lab(command, *(["prod"] if command == "rehearse" else []), ADDRESSBOOK_LAB_NAME="../etc")
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith("lab: ADDRESSBOOK_LAB_NAME='../etc' can't name a lab")
    assert len(shown.stderr.splitlines()) == 1


def test_the_status_of_a_lab_that_is_not_there(tmp_path: Path) -> None:
    nowhere = {"ADDRESSBOOK_LAB_NAME": "nowhere-lab", "ADDRESSBOOK_LAB_NETWORK": "10.98.0.0/16"}
    shown = _lab("status", "--output", "json", **nowhere, XDG_CACHE_HOME=str(tmp_path))
    assert shown.returncode == 1
    found = json.loads(shown.stdout)
    assert (found["running"], found["serving"], found["components"]) == (False, False, {})
    assert not Path("/var/lib/nowhere-lab").exists()
    assert not Path("/run/nowhere-lab").exists()


def test_without_root_the_doctor_says_how_to_go_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    unfit = [finding for finding in doctor.examine(lab) if not finding.ok]
    assert [finding.line() for finding in unfit] == ["✗ user: user id 1000 — run it as root: sudo -E make up"]


def test_a_full_disk_is_found_with_what_is_lacking(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.cache.mkdir()
    monkeypatch.setattr(doctor, "FREE_DISK", 1 << 60)
    (disk,) = [finding for finding in doctor.machine(lab) if finding.check == "disk"]
    assert not disk.ok
    assert "free at /var/lib" in disk.found
    assert disk.mend.startswith("free ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to try namespaces")
def test_a_network_in_use_is_found_with_the_way_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.network.routes", lambda: [{"dst": "10.99.0.0/16", "dev": "tun0"}])
    (addresses,) = [finding for finding in doctor.machine(lab) if finding.check == "addresses"]
    assert not addresses.ok
    assert "10.99.0.0/16 on tun0" in addresses.found
    assert "ADDRESSBOOK_LAB_NETWORK" in addresses.mend
