"""Locks between processes: a second `up` or `down` of a lab waits for the first."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lab.errors import LabError
from lab.progress import say


@contextmanager
def exclusive(path: Path, what: str, wait: bool = True) -> Iterator[None]:
    """Hold the lock on `path`. The kernel releases it when the process ends, however that happens.

    Raises LabError if another process holds it and `wait` is false.
    """
    file = _acquire(path, what, wait)
    try:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
    finally:
        # Removed while it is still held: a waiting process notices that and locks the next file.
        path.unlink(missing_ok=True)
        file.close()


def _acquire(path: Path, what: str, wait: bool) -> TextIO:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            if not wait:
                file.close()
                raise LabError(
                    f"Process {holder} is working on {what}. Run the command again later, or omit --no-wait."
                ) from None
            say(f"… waiting for process {holder}, which is working on {what}")
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the previous holder has removed it: another process may lock a new file of that name
