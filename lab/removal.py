"""`down`: end and remove everything of a lab, in any state, and check that nothing is left."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lab import cgroups, network, packages, supervisor
from lab.errors import LabError
from lab.layout import Lab
from lab.progress import step


class Leftover(LabError):
    """Parts of the lab are still on the machine after its removal."""


def end(lab: Lab) -> None:
    """End all processes, and remove the network, the control groups and the runtime folder."""
    supervisor.kill(lab)
    network.remove(lab)
    cgroups.remove(lab)
    _remove_folder(lab.run)


def down(lab: Lab) -> None:
    """Remove everything but the cache. Raises Leftover with the names of what could not be removed."""
    with step("end processes, network and control groups"):
        end(lab)
    with step("remove data"):
        if lab.state.exists():
            # Renamed first, so that after a kill the next `up` does not start from half a database.
            finish(lab)
            lab.state.rename(_doomed(lab))
        finish(lab)
        packages.remove_policy()
    if left := leftovers(lab):
        raise Leftover("These could not be removed:\n" + "\n".join(f"  {name}" for name in left))


def finish(lab: Lab) -> None:
    """Remove the rest after a killed `down`."""
    _remove_folder(_doomed(lab))


def remove_cache(lab: Lab) -> None:
    """Remove tools, images and plugins. Go's own caches stay."""
    with step(f"remove the cache {lab.cache}"):
        shutil.rmtree(lab.cache, ignore_errors=True)
    if lab.cache.exists():
        raise LabError(
            f"{lab.cache} cannot be removed completely. Close the programs that use it, and run the command again."
        )


def _doomed(lab: Lab) -> Path:
    return lab.state.with_name(f".{lab.name}-removed")


def _remove_folder(folder: Path) -> None:
    for mount in reversed(_mounts_below(folder)):
        subprocess.run(["umount", "-n", "--lazy", mount], capture_output=True)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def _mounts_below(folder: Path) -> list[str]:
    """Return the mount points at or below a folder, in the order in which they were mounted."""
    mounts: list[str] = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        mount = line.split()[1].encode().decode("unicode_escape")
        if Path(mount).is_relative_to(folder):
            mounts.append(mount)
    return mounts


def leftovers(lab: Lab) -> list[str]:
    """Return everything on the machine that belongs to this lab; empty after `down`."""
    left = [f"process {pid} ({_command(pid)})" for pid in sorted(cgroups.processes(lab))]
    for folder in (lab.state, _doomed(lab), lab.run):
        left += [f"mount {mount}" for mount in _mounts_below(folder)]
        left += [f"folder {folder}"] if folder.exists() else []
    left += [f"control group {folder}" for folder in cgroups.folders(lab) if folder.exists()]
    if lab.namespace_file.exists():
        left.append(f"network namespace {lab.namespace_file}")
    if Path(f"/sys/class/net/{lab.host_link}").exists():
        left.append(f"network interface {lab.host_link}")
    left += [f"route {route['dst']}" for route in network.routes() if route.get("dev") == lab.host_link]
    left += [f"firewall rule {rule}" for rule in _firewall_rules(lab)]
    return left


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")[:120]
    except OSError:
        return "ended"


def _firewall_rules(lab: Lab) -> list[str]:
    """Return the machine's firewall rules that name the lab's link. There should never be one."""
    try:
        rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    except OSError:
        return []
    return [line for line in rules.splitlines() if lab.host_link in line.split()]
