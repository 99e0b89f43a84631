"""The lock that `up` and `down` hold."""

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
TIMEOUT = 20  # seconds


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


def test_without_waiting_the_error_names_the_holder(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    with (
        pytest.raises(LabError, match=f"Process {process.pid} is working on the lab"),
        exclusive(path, "the lab", False),
    ):
        pass


def test_the_second_waits_for_the_first(
    holder: tuple[Path, subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, process = holder
    acquired = threading.Event()

    def second() -> None:
        with exclusive(path, "the lab"):
            acquired.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not acquired.wait(0.3)
    process.communicate("")
    thread.join(TIMEOUT)
    assert acquired.is_set()
    assert f"waiting for process {process.pid}" in capsys.readouterr().err


def test_a_killed_holder_releases_the_lock(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    os.kill(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT)
    with exclusive(path, "the lab", wait=False):
        assert path.read_text() == str(os.getpid())


def test_only_one_of_many_holds_the_lock(tmp_path: Path) -> None:
    path, inside, maximum = tmp_path / "lock", 0, 0
    guard = threading.Lock()

    def one() -> None:
        nonlocal inside, maximum
        for _ in range(20):
            with exclusive(path, "the lab"):
                with guard:
                    inside += 1
                    maximum = max(maximum, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert (inside, maximum) == (0, 1)
    assert not path.exists()
