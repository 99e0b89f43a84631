"""`doctor`: what on this machine would keep the lab from working, and what to do about each."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import cgroups, debian, golang, images, network, packages, remembered, supervisor, toolchain
from lab.layout import CHECKOUT, Lab

GIB = 1024**3
FREE_DISK = 6 * GIB  # images, volumes and build caches of one lab with room to spare
FREE_DISK_TO_BUILD = 10 * GIB  # Go's module and build caches take 7 GiB of it
FREE_MEMORY = 2 * GIB  # Kubernetes takes 0.7 GiB, a small stack as much again
PROBE_SECONDS = 30.0  # longest wait for a program that asks a registry
CONTROLLERS = {"cpu", "memory", "pids"}  # the control groups that a kubelet can't do without


@dataclass(frozen=True)
class Finding:
    """The result of one check; `mend` says what to do when it is not `ok`."""

    check: str
    ok: bool
    found: str
    mend: str = ""
    fatal: bool = True  # whether `up` refuses to go on

    def line(self) -> str:
        mark = "✓" if self.ok else "✗" if self.fatal else "!"
        return f"{mark} {self.check}: {self.found}" + (f" — {self.mend}" if self.mend and not self.ok else "")


def machine(lab: Lab) -> list[Finding]:
    """The checks that need no network and take a moment: `up` makes them too."""
    first = [_system(), _root()]
    if not all(finding.ok for finding in first):
        return first  # the others would only repeat it
    tried = [_namespaces(), _overlay(), _firewall()]
    return [*first, _control_groups(lab), *tried, _addresses(lab), _disk(lab), _memory(lab)]


def examine(lab: Lab) -> list[Finding]:
    """All checks."""
    found = machine(lab)
    if all(finding.ok for finding in found[:2]):
        found += [_packages(), _toolchain(lab), _base_images(lab), _refusals(lab)]
    return found


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def _system() -> Finding:
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return Finding("system", platform.system() == "Linux", system, "the lab needs Linux: use a virtual machine")


def _root() -> Finding:
    user = os.geteuid() if hasattr(os, "geteuid") else -1
    return Finding("user", user == 0, "root" if user == 0 else f"user id {user}", "run it as root: sudo -E make up")


def _control_groups(lab: Lab) -> Finding:
    mend = "mount them with the controllers cpu, memory and pids (in a container: run it with --privileged)"
    try:
        if cgroups.unified():
            offered = set((cgroups.ROOT / "cgroup.controllers").read_text(encoding="utf-8").split())
        else:
            offered = {name for folder in cgroups.hierarchies() for name in folder.name.split(",")}
        if missing := CONTROLLERS - offered:
            return Finding("control groups", False, f"no controller {', '.join(sorted(missing))}", mend)
        existed = all(folder.exists() for folder in cgroups.folders(lab))
        cgroups.create(lab)
        if not existed:
            cgroups.remove(lab)
    except OSError as fault:
        return Finding("control groups", False, f"they can't be made: {fault}", mend)
    return Finding("control groups", True, "version 2" if cgroups.unified() else "version 1")


def _tried(check: str, good: str, mend: str, script: str) -> Finding:
    """Run a shell script in namespaces of its own, which vanish with it."""
    command = ["unshare", "--pid", "--mount", "--net", "--fork", "--kill-child", "sh", "-ec", script]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return Finding(check, False, "there is no `unshare`", "apt-get install util-linux")
    said = (result.stderr.strip().splitlines() or ["it can't be done"])[-1]
    return Finding(check, result.returncode == 0, good if result.returncode == 0 else said, mend)


def _namespaces() -> Finding:
    good = "process, mount and network namespaces can be made"
    return _tried("namespaces", good, "in a container: run it with --privileged", "true")


def _overlay() -> Finding:
    script = (
        "mount -n -t tmpfs tmpfs /tmp; mkdir /tmp/lower /tmp/upper /tmp/work /tmp/all; "
        "mount -n -t overlay -o lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work overlay /tmp/all"
    )
    return _tried("overlay file system", "can be mounted", "load it: modprobe overlay", script)


def _firewall() -> Finding:
    if not shutil.which("iptables") or not shutil.which("ip"):
        return Finding("packet filter", True, "not tried yet: iptables or iproute2 is still to be installed")
    script = (
        "ip link add veth-try type veth peer name veth-peer; "
        "iptables -t nat -A PREROUTING -m conntrack --ctstate NEW -m comment --comment try -j ACCEPT; "
        "iptables -t nat -A POSTROUTING -m mark --mark 1 -j MASQUERADE; "
        "iptables -A OUTPUT -m statistic --mode random --probability 0.5 -j ACCEPT"
    )
    mend = (
        "load what the message names: modprobe veth nf_nat xt_conntrack xt_comment xt_statistic xt_mark xt_MASQUERADE"
    )
    return _tried("packet filter", "veth links and iptables rules can be made", mend, script)


def _addresses(lab: Lab) -> Finding:
    if not shutil.which("ip"):
        return Finding("addresses", True, f"{lab.network}, not looked at: iproute2 is still to be installed")
    taken = network.conflicts(lab)
    mend = "name a free /16 in ADDRESSBOOK_LAB_NETWORK, and its registry in the stack file"
    return Finding("addresses", not taken, f"{lab.network} is " + (f"used by {taken[0]}" if taken else "free"), mend)


def _disk(lab: Lab) -> Finding:
    building = not (toolchain.KUBERNETES.built(lab) and toolchain.ADDONS.built(lab))
    wanted = {Path("/var/lib"): FREE_DISK, _existing(lab.cache): FREE_DISK_TO_BUILD if building else GIB}
    for folder, least in wanted.items():
        free = shutil.disk_usage(folder).free
        if free < least:
            mend = f"free {(least - free) / GIB:.1f} GiB there"
            return Finding("disk", False, f"{free / GIB:.1f} GiB free at {folder}, {least // GIB} are needed", mend)
    return Finding("disk", True, ", ".join(f"{shutil.disk_usage(f).free / GIB:.0f} GiB free at {f}" for f in wanted))


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _memory(lab: Lab) -> Finding:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    enough = free >= FREE_MEMORY or bool(supervisor.states(lab))  # a running lab has its memory already
    mend = f"end other programs: {FREE_MEMORY // GIB} GiB are needed"
    return Finding("memory", enough, f"{free / GIB:.1f} GiB available", mend)


def _packages() -> Finding:
    missing = packages.missing()
    if not missing:
        return Finding("programs", True, "all installed")
    found = f"missing, `up` installs them: {', '.join(missing)}"
    return Finding("programs", bool(shutil.which("apt-get")), found, "there is no apt-get here: install them yourself")


def _toolchain(lab: Lab) -> Finding:
    tools = (toolchain.KUBERNETES, toolchain.ADDONS, *toolchain.stack_tools())
    unbuilt = ", ".join(tool.name for tool in tools if not tool.built(lab))
    if not unbuilt:
        return Finding("toolchain", True, "all tools are in the cache: nothing has to be downloaded")
    go = golang.on_path()
    if go is None:
        return Finding("toolchain", True, f"to be built: {unbuilt}, with Go from PyPI (none new enough is on PATH)")
    said = _module_proxy_fault(str(go))
    mend = "set GOPROXY to a Go module proxy that this machine reaches: go env -w GOPROXY=…"
    return Finding("toolchain", not said, f"to be built: {unbuilt}" + (f"; Go says: {said}" if said else ""), mend)


def _module_proxy_fault(go: str) -> str:
    """What Go says when it can't list a module's versions, which it always asks the proxy for; else nothing."""
    folder = CHECKOUT / "lab" / "toolchain" / "addons"
    command = [go, "list", "-m", "-versions", "k8s.io/klog/v2"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS:.0f} s"
    return "" if result.returncode == 0 else (result.stderr.strip().splitlines() or ["nothing"])[-1]


def _base_images(lab: Lab) -> Finding:
    unmade = ", ".join(image.reference for image in images.IMAGES if not image.in_cache(lab))
    if not unmade:
        return Finding("images", True, "all in the cache")
    mend = "where Docker Hub can't be reached either, they can't be made: mend apt-get's sources"
    reached = debian.mirror_answers()
    return Finding(
        "images", reached, f"still to be had: {unmade}" + ("" if reached else "; no Debian mirror answers"), mend
    )


def _refusals(lab: Lab) -> Finding:
    refused = "; ".join(f"{name} ({reason})" for name, reason in remembered.refusals(lab).items())
    mend = "stand-ins take their place; `python -m lab up --retry` asks again"
    return Finding("refusals", not refused, refused or "none remembered", mend, fatal=False)
