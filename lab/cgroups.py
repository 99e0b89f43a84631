"""The lab's control groups: one parent group in each hierarchy, for version 1 and 2."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from lab.layout import Lab

ROOT = Path("/sys/fs/cgroup")


def unified() -> bool:
    """Return whether the machine has only control groups of version 2."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """Return the mount points of control groups: one in version 2, one for each hierarchy in version 1."""
    if unified():
        return [ROOT]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    return sorted({Path(fields[1]).resolve() for fields in mounts if fields[2] in ("cgroup", "cgroup2")})


def folders(lab: Lab) -> list[Path]:
    return [hierarchy / lab.name for hierarchy in hierarchies()]


def create(lab: Lab) -> None:
    """Create the lab's groups unless they exist. Raises OSError where the machine does not allow it."""
    if unified():
        _delegate(ROOT)
        (ROOT / lab.name / "supervisor").mkdir(parents=True, exist_ok=True)
        _delegate(ROOT / lab.name)
        return
    for folder in folders(lab):
        for group in (folder, folder / "supervisor"):
            group.mkdir(exist_ok=True)
            for name in ("cpuset.mems", "cpuset.cpus"):  # a new cpuset is empty and accepts no process
                if (group / name).exists() and not (group / name).read_text().strip():
                    (group / name).write_text((group.parent / name).read_text())


def _delegate(group: Path) -> None:
    """Enable every controller of a version 2 group for its children."""
    available = (group / "cgroup.controllers").read_text().split()
    enabled = (group / "cgroup.subtree_control").read_text().split()
    if missing := [controller for controller in available if controller not in enabled]:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in missing))


def enter(lab: Lab) -> None:
    """Move this process, and with it its later children, into the lab's groups."""
    for folder in folders(lab):
        (folder / "supervisor" / "cgroup.procs").write_text(str(os.getpid()))


def processes(lab: Lab) -> set[int]:
    """Return the IDs of all processes in the lab's groups."""
    ids: set[int] = set()
    for folder in folders(lab):
        for file in folder.rglob("cgroup.procs"):
            try:
                ids.update(int(line) for line in file.read_text().split())
            except OSError:
                continue  # the group has just been removed
    return ids - {0}


def kill(lab: Lab) -> None:
    """Kill the processes in the lab's groups until none is left."""
    for _ in range(50):
        running = processes(lab)
        if not running:
            return
        for pid in running:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)


def remove(lab: Lab) -> None:
    """Remove the lab's groups, deepest first. A group with a dying process is retried."""
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
