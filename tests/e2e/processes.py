"""A process's descendants, read from /proc (proc(5))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process; its start time tells it from a later one with the same number."""

    pid: int
    name: str
    parent: int
    started: int

    @property
    def runs(self) -> bool:
        """Whether the process is running; a zombie is not."""
        now = _read(Path(f"/proc/{self.pid}/stat"))
        return now is not None and now.started == self.started


def descendants(pid: int) -> list[Process]:
    """Return the processes that this one started, directly or indirectly."""
    every_process = [process for stat in Path("/proc").glob("[0-9]*/stat") if (process := _read(stat))]
    processes: list[Process] = []
    parents = {pid}
    while children := [each for each in every_process if each.parent in parents]:
        processes += children
        parents = {child.pid for child in children}
    return processes


def _read(stat: Path) -> Process | None:
    try:
        pid, _, rest = stat.read_text().partition(" (")
    except OSError:
        return None  # the process has ended
    name, _, rest = rest.rpartition(") ")
    fields = rest.split()
    return None if fields[0] in "ZX" else Process(int(pid), name, int(fields[1]), int(fields[19]))
