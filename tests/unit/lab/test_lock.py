"""One at a time: the lock that `up` and `down` hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.lock import exclusive

HOLD = """
import sys
from pathlib import Path
from lab.lock import exclusive
with exclusive(Path(sys.argv[1]), "the lab"):
    print("held", flush=True)
    sys.stdin.read()
"""
PATIENCE = 20  # seconds


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the lock until its standard input is closed."""
    path = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield path, process
    process.kill()
    process.communicate()


def test_without_waiting_the_holder_is_named(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    with (
        pytest.raises(LabError, match=f"Process {process.pid} is at work on the lab"),
        exclusive(path, "the lab", False),
    ):
        pass


def test_the_second_waits_for_the_first_and_says_so(
    holder: tuple[Path, subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, process = holder
    got = threading.Event()

    def second() -> None:
        with exclusive(path, "the lab"):
            got.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not got.wait(0.3)
    process.communicate("")
    thread.join(PATIENCE)
    assert got.is_set()
    assert f"waiting for process {process.pid}" in capsys.readouterr().err


def test_a_killed_holder_leaves_no_lock(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    with exclusive(path, "the lab", wait=False):
        assert path.read_text() == str(os.getpid())


def test_many_waiters_never_hold_it_together(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", 0, 0
    guard = threading.Lock()

    def one() -> None:
        nonlocal inside, most
        for _ in range(20):
            with exclusive(path, "the lab"):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (inside, most) == (0, 1)
    assert not path.exists()
