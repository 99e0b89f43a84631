"""One command at a time: the second is told who is at work, or waits; a killed one holds nothing up."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from promotion.errors import BUSY, CommandError
from promotion.state.checkout_lock import at_work

HOLDER = """
import sys, time
from pathlib import Path
from promotion.state.checkout_lock import at_work
with at_work(Path(sys.argv[1]), "dev", "promotion release", 0, print):
    print("at work", flush=True)
    time.sleep(60)
"""


def quiet(_: str) -> None: ...


def test_the_second_is_told_who_is_at_work(tmp_path: Path):
    with at_work(tmp_path, "dev", "promotion release", 0, quiet):
        second = at_work(tmp_path, "dev", "promotion promote", 0, quiet)
        with pytest.raises(
            CommandError, match=r"`promotion release` of \S+ on \S+ \(process \d+, since .*--wait"
        ) as refused:
            second.__enter__()
        assert refused.value.code == BUSY
        with at_work(tmp_path, "prod", "promotion promote", 0, quiet):
            pass  # another stack is another matter


def test_the_second_may_wait(tmp_path: Path):
    told: list[str] = []
    began, end = threading.Event(), threading.Event()

    def first() -> None:
        with at_work(tmp_path, "dev", "promotion release", 0, quiet):
            began.set()
            end.wait()

    def say(text: str) -> None:
        told.append(text)
        end.set()

    thread = threading.Thread(target=first)
    thread.start()
    began.wait()
    with at_work(tmp_path, "dev", "promotion promote", 60, say):
        thread.join()
    assert len(told) == 1
    assert told[0].startswith("waiting for `promotion release` of ")


def test_a_killed_one_holds_nothing_up(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "at work\n"
        with (
            pytest.raises(CommandError, match=f"process {killed.pid},"),
            at_work(tmp_path, "dev", "promotion up", 0, quiet),
        ):
            pytest.fail("two at work at once")
        killed.kill()
        killed.wait()
    with at_work(tmp_path, "dev", "promotion up", 0, quiet):
        pass
