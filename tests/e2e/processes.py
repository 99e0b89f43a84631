"""Processes that another has started, as /proc tells of them (proc(5))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process, told from a later one of the same number by when it started."""

    pid: int
    name: str
    parent: int
    started: int

    @property
    def runs(self) -> bool:
        """Whether it has not ended; one that only waits to be noted by its parent has."""
        now = _read(Path(f"/proc/{self.pid}/stat"))
        return now is not None and now.started == self.started


def descendants(pid: int) -> list[Process]:
    """What a process has started, and what that has."""
    all_of_them = [process for stat in Path("/proc").glob("[0-9]*/stat") if (process := _read(stat))]
    found: list[Process] = []
    parents = {pid}
    while children := [each for each in all_of_them if each.parent in parents]:
        found += children
        parents = {child.pid for child in children}
    return found


def _read(stat: Path) -> Process | None:
    try:
        pid, _, rest = stat.read_text().partition(" (")
    except OSError:
        return None  # it has ended
    name, _, rest = rest.rpartition(") ")
    fields = rest.split()
    return None if fields[0] in "ZX" else Process(int(pid), name, int(fields[1]), int(fields[19]))
