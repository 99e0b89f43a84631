"""The state is in a folder and the engine was killed while it wrote a file's attributes: the next command recovers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAME = "torn"


@pytest.fixture
def project(new_project: Callable[..., Any], toolchain: dict[str, str]) -> Any:
    return new_project(NAME, toolchain, cloud="local")


def state_file(folder: Path) -> Path:
    return folder / "stacks" / "addressbook" / f"{NAME}.json"


def lock_file(folder: Path) -> Path:
    """Write the lock of a process that no longer exists, as the engine does."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock = folder / "locks" / "organization" / "addressbook" / NAME / "killed.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = {"pid": dead.pid, "username": "ada", "hostname": socket.gethostname()}
    lock.write_text(json.dumps({**holder, "timestamp": "2026-01-01T00:00:00Z"}))
    return lock


@pytest.mark.parametrize("file", [state_file, lock_file])
@pytest.mark.parametrize("written", ["", '{"user.cache'])
def test_truncated_attributes_are_removed(project: Any, file: Callable[[Path], Path], written: str):
    folder = Path(project.environment["PULUMI_BACKEND_URL"].removeprefix("file://")) / ".pulumi"
    attributes = Path(f"{file(folder)}.attrs")
    attributes.write_text(written)
    refused = project.run("pulumi", "destroy", "--yes", "--stack", NAME, check=False)
    assert "EOF" in refused.stdout + refused.stderr, "plain Pulumi cannot recover"

    done = project.run(sys.executable, "-m", "promotion", "down", "--stack", NAME)
    assert (done.stdout + done.stderr).count(f"deleted {attributes}: an engine was killed while it wrote the file") == 1
    assert "Traceback" not in done.stderr
    assert NAME not in project.run("pulumi", "stack", "ls", "--json").stdout
