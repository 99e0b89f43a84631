"""The lab's own control groups: one parent for everything in each hierarchy, version 1 and 2 alike."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from lab.layout import Lab

ROOT = Path("/sys/fs/cgroup")


def unified() -> bool:
    """Whether the machine has control groups of version 2 only."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """Where control groups are mounted: one folder in version 2, one for each hierarchy in version 1."""
    if unified():
        return [ROOT]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    return sorted({Path(fields[1]).resolve() for fields in mounts if fields[2] in ("cgroup", "cgroup2")})


def folders(lab: Lab) -> list[Path]:
    return [hierarchy / lab.name for hierarchy in hierarchies()]


def create(lab: Lab) -> None:
    """Make the lab's groups; repeatable. Raises OSError where the machine does not allow it."""
    if unified():
        _delegate(ROOT)
        (ROOT / lab.name / "supervisor").mkdir(parents=True, exist_ok=True)
        _delegate(ROOT / lab.name)
        return
    for folder in folders(lab):
        for group in (folder, folder / "supervisor"):
            group.mkdir(exist_ok=True)
            for name in ("cpuset.mems", "cpuset.cpus"):  # a new cpuset is empty and can hold no process
                if (group / name).exists() and not (group / name).read_text().strip():
                    (group / name).write_text((group.parent / name).read_text())


def _delegate(group: Path) -> None:
    """Let the children of a version 2 group have every controller that the group has."""
    available = (group / "cgroup.controllers").read_text().split()
    given = (group / "cgroup.subtree_control").read_text().split()
    if missing := [controller for controller in available if controller not in given]:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in missing))


def enter(lab: Lab) -> None:
    """Put this process (and what it will start) into the lab's groups."""
    for folder in folders(lab):
        (folder / "supervisor" / "cgroup.procs").write_text(str(os.getpid()))


def processes(lab: Lab) -> set[int]:
    """Ids of all processes in the lab's groups."""
    found: set[int] = set()
    for folder in folders(lab):
        for file in folder.rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in file.read_text().split())
            except OSError:
                continue  # the group went away meanwhile
    return found - {0}


def kill(lab: Lab) -> None:
    """Kill whatever is still in the lab's groups, until nothing is."""
    for _ in range(50):
        left = processes(lab)
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)


def remove(lab: Lab) -> None:
    """Remove the lab's groups, the deepest first. A group that a dying process still holds is tried again."""
    for folder in folders(lab):
        for _ in range(50):
            if not folder.exists():
                break
            groups = [Path(root) for root, _, _ in os.walk(folder, topdown=False)]
            for group in groups:
                try:
                    group.rmdir()
                except OSError:
                    continue
            if folder.exists():
                time.sleep(0.1)
