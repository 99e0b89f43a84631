"""`down`: end and remove everything of a lab, whatever state it is in, and look whether anything is left."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lab import cgroups, network, packages, supervisor
from lab.errors import LabError
from lab.layout import Lab
from lab.progress import step


class Leftover(LabError):
    """Something of the lab is still on the machine after its removal."""


def end(lab: Lab) -> None:
    """End all processes, and remove what does not outlive them: network, control groups, the runtime folder."""
    supervisor.kill(lab)
    network.remove(lab)
    cgroups.remove(lab)
    _remove_folder(lab.run)


def down(lab: Lab) -> None:
    """Remove everything but the cache. Raises Leftover, which names what could not be removed."""
    with step("end processes, network and control groups"):
        end(lab)
    with step("remove data"):
        if lab.state.exists():
            # Renamed first: a kill in the midst leaves no half of a database for the next `up` to start from.
            finish(lab)
            lab.state.rename(_doomed(lab))
        finish(lab)
        packages.forget_policy()
    if left := leftovers(lab):
        raise Leftover("These are left and can't be removed:\n" + "\n".join(f"  {name}" for name in left))


def finish(lab: Lab) -> None:
    """Remove what a `down` that was killed has left."""
    _remove_folder(_doomed(lab))


def remove_cache(lab: Lab) -> None:
    """Remove tools, images and plugins; Go's own caches stay."""
    with step(f"remove the cache {lab.cache}"):
        shutil.rmtree(lab.cache, ignore_errors=True)
    if lab.cache.exists():
        raise LabError(f"{lab.cache} can't be removed completely: is a file of it in use?")


def _doomed(lab: Lab) -> Path:
    return lab.state.with_name(f".{lab.name}-removed")


def _remove_folder(folder: Path) -> None:
    for mount in reversed(_mounts_below(folder)):
        subprocess.run(["umount", "-n", "--lazy", mount], capture_output=True)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def _mounts_below(folder: Path) -> list[str]:
    """Mount points at or below a folder, as this process sees them, in the order in which they were mounted."""
    found: list[str] = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        place = line.split()[1].encode().decode("unicode_escape")
        if Path(place).is_relative_to(folder):
            found.append(place)
    return found


def leftovers(lab: Lab) -> list[str]:
    """Everything on the machine that belongs to this lab, by name; empty after a `down`."""
    found = [f"process {pid} ({_command(pid)})" for pid in sorted(cgroups.processes(lab))]
    for folder in (lab.state, _doomed(lab), lab.run):
        found += [f"mount {mount}" for mount in _mounts_below(folder)]
        found += [f"folder {folder}"] if folder.exists() else []
    found += [f"control group {folder}" for folder in cgroups.folders(lab) if folder.exists()]
    if lab.namespace_file.exists():
        found.append(f"network namespace {lab.namespace_file}")
    if Path(f"/sys/class/net/{lab.host_link}").exists():
        found.append(f"network interface {lab.host_link}")
    found += [f"route {route['dst']}" for route in network.routes() if route.get("dev") == lab.host_link]
    found += [f"firewall rule {rule}" for rule in _firewall_rules(lab)]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")[:120]
    except OSError:
        return "ended meanwhile"


def _firewall_rules(lab: Lab) -> list[str]:
    """Rules of the machine that name the lab's link. (The lab makes none; this is to be sure.)"""
    try:
        rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    except OSError:
        return []
    return [line for line in rules.splitlines() if lab.host_link in line.split()]
