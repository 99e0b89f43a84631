"""One command at a time moves a stack along from a checkout; the next is told who is at work."""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from promotion.errors import BUSY, CommandError
from promotion.state.timestamp import stamp

#: Seconds between two looks at a lock that somebody holds.
LOOK_SECONDS = 0.5


@contextmanager
def at_work(folder: Path, stack: str, command: str, wait_seconds: float, say: Callable[[str], None]) -> Generator[None]:
    """Hold the stack's lock in this checkout. The kernel frees it when the process ends, however that happens.

    It covers what the engine's own lock does not: the edit of the stack file before an update, and the trial between
    two of them. Raises CommandError with code BUSY when somebody else holds it for longer than ``wait_seconds``.
    """
    path = folder / f"{stack}.lock"
    folder.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait_seconds
        told = False
        while not _locked(file.fileno()):
            file.seek(0)
            holder = file.read().strip() or "another command"
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"{holder} is at work on stack `{stack}`: wait for it to end (`--wait` does)",
                    BUSY,
                )
            if not told:
                say(f"waiting for {holder}")
                told = True
            time.sleep(LOOK_SECONDS)
        file.seek(0)
        file.truncate()
        file.write(_myself(command))
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _myself(command: str) -> str:
    return f"`{command}` of {getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}, since {stamp()})"
