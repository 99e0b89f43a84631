"""The first process of the lab's own process and mount namespaces: it arranges private mounts, then supervises.

Run as `python -m lab.pid_one SETTINGS`, where SETTINGS is the JSON file that `lab.supervisor` wrote. Every mount made
here or later by the lab is invisible to the machine and ends with this process.

containerd, kubelet, Docker and runc write to fixed folders whatever their configuration says (/run/containerd,
/run/runc, /var/lib/cni, /var/lib/kubelet, /var/log/containers, /etc/docker/key.json, …). Here they find folders of
their own at these paths, so that the machine's stay as they are, and another containerd's or Docker's are not touched.
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
    _let_go_of_namespaces(Path(settings["network_namespace"]))
    _hide_kernel_settings(scratch, settings["kernel_settings"])
    _hide_variable_data(scratch, settings)
    _hide_run(scratch, [settings["run"], settings["network_namespace"], *RESOLVERS])
    # Pods share mounts with the kubelet. Nothing of it reaches the machine: see --propagation in lab.supervisor.
    _mount("--make-rshared", "/")
    # etcd, containerd and what runs below them hold many files open.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.execv(sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", settings["config"]])  # noqa: S606


def _let_go_of_namespaces(own: Path) -> None:
    """A namespace that somebody removes shall not live on in the lab's copy of its mount."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "nsfs" and Path(place) != own:
            subprocess.run(["umount", "-n", "--lazy", place], check=True)


def _hide_kernel_settings(scratch: Path, kernel_settings: dict[str, str]) -> None:
    """Show the kubelet the values that it would set for the whole machine."""
    for name, value in kernel_settings.items():
        real, shown = Path("/proc/sys") / name, scratch / "kernel-settings" / name
        if real.exists():
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.write_text(f"{value}\n", encoding="utf-8")
            _mount("--bind", shown, real)


def _hide_variable_data(scratch: Path, settings: dict[str, Any]) -> None:
    """/var/lib as it is, but written elsewhere (the lab's own folders apart); /var/log and /etc/docker empty."""
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
    """A /run with nothing in it but what the lab needs of the machine's."""
    empty = scratch / "run"
    empty.mkdir()
    for path in map(Path, kept):
        if not path.exists():
            continue
        place = empty / path.relative_to("/run")
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            place.mkdir()
        else:
            place.touch()
        _mount("--bind", path, place)
    (empty / "lock").mkdir()
    _mount("--rbind", empty, "/run")


def _mount(*arguments: str | Path) -> None:
    # -n: no note of it in /run/mount, which is still the machine's.
    subprocess.run(["mount", "-n", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
