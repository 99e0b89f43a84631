"""The first process of the lab's process and mount namespaces: it sets up private mounts, then supervises.

Run as `python -m lab.pid_one SETTINGS`, where SETTINGS is the JSON file that `lab.supervisor` has written. Every mount
that the lab makes is invisible to the machine and ends with this process.

containerd, kubelet, Docker and runc write to fixed folders whatever their configuration says (/run/containerd,
/run/runc, /var/lib/cni, /var/lib/kubelet, /var/log/containers, /etc/docker/key.json, …). The mounts give them private
folders at these paths, so that the machine's own, and those of another containerd or Docker, stay untouched.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

RESOLVERS = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager")  # where /etc/resolv.conf may point to


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    scratch = Path(settings["run"]) / "private"
    scratch.mkdir()
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", scratch)
    _release_namespaces(Path(settings["network_namespace"]))
    _hide_kernel_settings(scratch, settings["kernel_settings"])
    _hide_variable_data(scratch, settings)
    _hide_run(scratch, [settings["run"], settings["network_namespace"], *RESOLVERS])
    # Pods share mounts with the kubelet, but not with the machine: see --propagation in lab.supervisor.
    _mount("--make-rshared", "/")
    # etcd, containerd and their children open many files.
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    os.execv(sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", settings["config"]])  # noqa: S606


def _release_namespaces(own: Path) -> None:
    """Unmount other network namespaces, so that they end when their owner removes them."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, kind, *_ = line.split()
        if kind == "nsfs" and Path(mount) != own:
            subprocess.run(["umount", "-n", "--lazy", mount], check=True)


def _hide_kernel_settings(scratch: Path, kernel_settings: dict[str, str]) -> None:
    """Show the kubelet the values that it would otherwise set for the whole machine."""
    for name, value in kernel_settings.items():
        setting, copy = Path("/proc/sys") / name, scratch / "kernel-settings" / name
        if setting.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(f"{value}\n", encoding="utf-8")
            _mount("--bind", copy, setting)


def _hide_variable_data(scratch: Path, settings: dict[str, Any]) -> None:
    """Put an overlay on /var/lib except the lab's own folders, and empty folders on /var/log and /etc/docker."""
    kept = [folder for folder in settings["data"] if Path(folder).is_relative_to("/var/lib")]
    stash = scratch / "kept"
    for number, folder in enumerate(kept):
        (stash / str(number)).mkdir(parents=True)
        _mount("--bind", folder, stash / str(number))
    upper, work = scratch / "var-lib", scratch / "var-lib-work"
    upper.mkdir()
    work.mkdir()
    _mount("-t", "overlay", "-o", f"lowerdir=/var/lib,upperdir={upper},workdir={work}", "overlay", "/var/lib")
    for number, folder in enumerate(kept):
        _mount("--rbind", stash / str(number), folder)
    for folder in ("/var/log", "/etc/docker"):
        if Path(folder).is_dir():
            _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)


def _hide_run(scratch: Path, kept: list[str]) -> None:
    """Replace /run by one with only the folders that the lab needs from the machine."""
    empty = scratch / "run"
    empty.mkdir()
    for path in map(Path, kept):
        if not path.exists():
            continue
        target = empty / path.relative_to("/run")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            target.mkdir()
        else:
            target.touch()
        _mount("--bind", path, target)
    (empty / "lock").mkdir()
    _mount("--rbind", empty, "/run")


def _mount(*arguments: str | Path) -> None:
    # -n: do not record it in /run/mount, which is still the machine's.
    subprocess.run(["mount", "-n", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
