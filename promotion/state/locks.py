"""The two locks on a stack: this checkout's, for one promotion command at a time, and the engine's."""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from contract.project import PROJECT_ROOT
from promotion.errors import BUSY, CommandError
from promotion.state.verdict_record import utc_stamp

#: Folder of the checkout locks.
LOCKS = PROJECT_ROOT / ".promotion"
#: Seconds between two attempts to take a lock that another command holds.
RETRY_SECONDS = 0.5
#: A line of the engine's message about a lock, for a backend that is a folder or a bucket.
ENGINE_LOCK = re.compile(
    r"^\s*(?P<url>\S+): created by (?P<user>.*)@(?P<host>\S*) \(pid (?P<pid>\d+)\) at (?P<since>\S+)\s*$"
)
#: Commands, besides process 1, that adopt orphaned processes.
ADOPTERS = ("systemd", "init", "launchd", "tini", "dumb-init", "docker-init")


@contextmanager
def checkout_lock(
    stack: str, command: str, wait_seconds: float, say: Callable[[str], None], folder: Path | None = None
) -> Generator[None]:
    """Hold the stack's lock in this checkout. The kernel releases it when the process ends, even if it is killed.

    Unlike the engine's own lock, it also covers the edit of the stack file before an update and the trial between two
    updates. Raises CommandError with code BUSY if another command holds it for longer than ``wait_seconds``.
    """
    folder = folder or LOCKS
    path = _lock_file(stack, folder)
    folder.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait_seconds
        announced = False
        while not _try_lock(file.fileno()):
            file.seek(0)
            holder = file.read().strip() or "another command"
            if time.monotonic() >= deadline:
                raise busy(holder, stack)
            if not announced:
                say(f"waiting for {holder}")
                announced = True
            time.sleep(RETRY_SECONDS)
        file.seek(0)
        file.truncate()
        file.write(
            f"`{command}` of {getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}, since {utc_stamp()})"
        )
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _lock_file(stack: str, folder: Path) -> Path:
    """Return the lock file. Names with and without organization share it, because they share the stack file."""
    return folder / f"{stack.rpartition('/')[2]}.lock"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def checkout_lock_holder(stack: str, folder: Path | None = None) -> str:
    """Return which command holds the stack's lock in this checkout; "" if none does."""
    try:
        holder = _lock_file(stack, folder or LOCKS).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    match = re.search(r" on (\S+) \(process (\d+),", holder)
    if not match or (match[1] == socket.gethostname() and not _is_alive(int(match[2]))):
        return ""
    return holder


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def busy(holder: str, stack: str, remedy: str = "") -> CommandError:
    """Return the error for a stack that is in use by another command."""
    return CommandError(
        f"{holder} is working on stack `{stack}`: try again when it has ended, or add `--wait`{remedy}", BUSY
    )


@dataclass(frozen=True)
class EngineLock:
    """The lock of one run of the engine. ``since`` is in ISO 8601."""

    url: str
    user: str
    host: str
    process: int
    since: str

    @property
    def is_local(self) -> bool:
        """Whether the lock was taken on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_stale(self) -> bool:
        """Whether the lock was taken on this machine by a process that no longer exists."""
        return self.is_local and _parent_of_engine(self.process) is None

    @property
    def is_orphaned(self) -> bool:
        """Whether the engine still runs on this machine after its command was killed. It will end by itself."""
        parent = _parent_of_engine(self.process) if self.is_local else None
        adopter = _process(parent) if parent else None
        return parent == 1 or (adopter is not None and adopter.command in ADOPTERS)

    @property
    def holder(self) -> str:
        """Text for people: user, host, process and start time."""
        return f"{self.user} on {self.host} (process {self.process}, since {self.since})"

    def delete(self) -> bool:
        """Delete this lock if it is a file; return False if only the engine can delete it."""
        url = urlsplit(self.url)
        if url.scheme != "file":
            return False
        for path in (Path(unquote(url.path)), Path(f"{unquote(url.path)}.attrs")):
            path.unlink(missing_ok=True)
        return True


def engine_locks(message: str) -> list[EngineLock]:
    """Parse the locks in the engine's message; return none if the backend has no lock files."""
    matches = [match for line in message.splitlines() if (match := ENGINE_LOCK.match(line))]
    return [
        EngineLock(match["url"], match["user"], match["host"], int(match["pid"]), match["since"].rstrip("."))
        for match in matches
    ]


def _parent_of_engine(process: int) -> int | None:
    """Return the parent's id of a running `pulumi`; None if the process is not one."""
    engine = _process(process)
    return engine.parent if engine and "pulumi" in engine.command and not engine.state.startswith("Z") else None


@dataclass(frozen=True)
class _Process:
    parent: int
    state: str
    command: str


def _process(process: int) -> _Process | None:
    """Look up a process; return None if it does not exist."""
    if Path("/proc/self/stat").is_file():
        try:
            before, _, after = Path(f"/proc/{process}/stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, parent = after.split()[:2]
        return _Process(int(parent), state, before.partition("(")[2])
    fields = subprocess.run(
        ["ps", "-o", "ppid=,stat=,comm=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=2)
    return _Process(int(fields[0]), fields[1], fields[2].strip()) if len(fields) == 3 else None
