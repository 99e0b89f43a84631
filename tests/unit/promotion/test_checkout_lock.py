"""One command at a time: the second is refused or waits, and a killed one blocks nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from promotion.errors import BUSY, CommandError
from promotion.state.locks import checkout_lock, checkout_lock_holder

HOLDER = """
import sys, time
from pathlib import Path
from promotion.state.locks import checkout_lock, checkout_lock_holder
with checkout_lock("dev", "promotion release", 0, print, Path(sys.argv[1])):
    print("running", flush=True)
    time.sleep(60)
"""


def quiet(_: str) -> None: ...


def test_the_second_is_refused_with_the_holders_name(tmp_path: Path):
    with checkout_lock("dev", "promotion release", 0, quiet, tmp_path):
        second = checkout_lock("dev", "promotion promote", 0, quiet, tmp_path)
        with pytest.raises(
            CommandError, match=r"`promotion release` of \S+ on \S+ \(process \d+, since .*--wait"
        ) as refused:
            second.__enter__()
        assert refused.value.code == BUSY
        with checkout_lock("prod", "promotion promote", 0, quiet, tmp_path):
            pass  # another stack has its own lock


def test_the_second_can_wait(tmp_path: Path):
    messages: list[str] = []
    began, end = threading.Event(), threading.Event()

    def first() -> None:
        with checkout_lock("dev", "promotion release", 0, quiet, tmp_path):
            began.set()
            end.wait()

    def say(text: str) -> None:
        messages.append(text)
        end.set()

    thread = threading.Thread(target=first)
    thread.start()
    began.wait()
    with checkout_lock("dev", "promotion promote", 60, say, tmp_path):
        thread.join()
    assert len(messages) == 1
    assert messages[0].startswith("waiting for `promotion release` of ")


def test_a_killed_command_blocks_nobody(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "running\n"
        with (
            pytest.raises(CommandError, match=f"process {killed.pid},"),
            checkout_lock("dev", "promotion up", 0, quiet, tmp_path),
        ):
            pytest.fail("two commands at once")
        killed.kill()
        killed.wait()
    with checkout_lock("dev", "promotion up", 0, quiet, tmp_path):
        pass


def test_the_holder_is_known_while_its_process_lives(tmp_path: Path):
    lock = tmp_path / "dev.lock"
    assert checkout_lock_holder("dev", tmp_path) == ""
    for process, alive in ((os.getpid(), True), (2**22 + 1, False)):  # above Linux' highest process id
        lock.write_text(f"`promote` of ada on {socket.gethostname()} (process {process}, since 2026-01-01T12:00:00Z)")
        assert bool(checkout_lock_holder("dev", tmp_path)) is alive
    lock.write_text("`promote` of ada on elsewhere (process 1, since 2026-01-01T12:00:00Z)")
    assert checkout_lock_holder("dev", tmp_path)
    lock.write_text("")
    assert checkout_lock_holder("dev", tmp_path) == ""


def test_a_full_name_has_the_lock_of_the_stack_file(tmp_path: Path):
    with checkout_lock("acme/addressbook/prod", "promotion up", 0, print, tmp_path):
        assert "promotion up" in checkout_lock_holder("prod", tmp_path)
