"""Whose lock is on a stack, and whether whoever left it is still alive."""

from __future__ import annotations

import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: How the engine names the locks of a backend that is a folder or a bucket.
LOCK = re.compile(r"^\s*(?P<url>\S+): created by (?P<user>.*)@(?P<host>\S*) \(pid (?P<pid>\d+)\) at (?P<since>\S+)\s*$")
#: Who takes over a process whose parent has died, where that is not process 1.
FOSTER_PARENTS = ("systemd", "init", "launchd", "tini", "dumb-init", "docker-init")


@dataclass(frozen=True)
class Lock:
    """A run of the engine that has locked the stack: on which machine, as which process, since when (ISO 8601)."""

    url: str
    user: str
    host: str
    process: int
    since: str

    @property
    def here(self) -> bool:
        """Whether it is of this machine."""
        return self.host == socket.gethostname()

    @property
    def dead(self) -> bool:
        """Whether it was left behind: of this machine, by a process that is no more."""
        return self.here and _parent_of_engine(self.process) is None

    @property
    def abandoned(self) -> bool:
        """Whether an engine at work on this machine has lost the command that started it; it will end by itself."""
        parent = _parent_of_engine(self.process) if self.here else None
        foster = _process(parent) if parent else None
        return parent == 1 or (foster is not None and foster.command in FOSTER_PARENTS)

    @property
    def holder(self) -> str:
        """For people: who, where, since when."""
        return f"{self.user} on {self.host} (process {self.process}, since {self.since})"

    def remove(self) -> bool:
        """Remove this very lock where it is a file; False where the engine has to do it."""
        parts = urlsplit(self.url)
        if parts.scheme != "file":
            return False
        for path in (Path(unquote(parts.path)), Path(f"{unquote(parts.path)}.attrs")):
            path.unlink(missing_ok=True)
        return True


def locks_named(message: str) -> list[Lock]:
    """Locks that the engine's message names; none where the backend keeps no lock files."""
    found = [match for line in message.splitlines() if (match := LOCK.match(line))]
    return [
        Lock(match["url"], match["user"], match["host"], int(match["pid"]), match["since"].rstrip("."))
        for match in found
    ]


def _parent_of_engine(process: int) -> int | None:
    """Process id of the parent of a running `pulumi`; None when no such process runs under that id."""
    found = _process(process)
    return found.parent if found and "pulumi" in found.command and not found.state.startswith("Z") else None


@dataclass(frozen=True)
class _Process:
    parent: int
    state: str
    command: str


def _process(process: int) -> _Process | None:
    """What the system says of a process; None where there is none."""
    if Path("/proc/self/stat").is_file():
        try:
            before, _, after = Path(f"/proc/{process}/stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, parent = after.split()[:2]
        return _Process(int(parent), state, before.partition("(")[2])
    shown = subprocess.run(
        ["ps", "-o", "ppid=,stat=,comm=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=2)
    return _Process(int(shown[0]), shown[1], shown[2].strip()) if len(shown) == 3 else None
