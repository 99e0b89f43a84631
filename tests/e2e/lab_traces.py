"""What a lab could leave on a machine: everything that is compared before `up` and after `down`."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KERNEL_SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/netfilter/nf_conntrack_max",
)
FOLDERS = (
    "/run",
    "/run/lock",
    "/run/netns",
    "/var/lib",
    "/var/log",
    "/etc",
    "/opt",
    "/etc/cni",
    "/etc/docker",
    "/usr/sbin",
)


@dataclass(frozen=True)
class Traces:
    """A picture of the machine; `differences` says what has come or gone since another one."""

    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    policy_rules: frozenset[str]
    firewall: frozenset[str]
    namespaces: frozenset[str]
    control_groups: frozenset[str]
    files: frozenset[str]
    kernel_settings: frozenset[str]

    def differences(self, earlier: Traces) -> list[str]:
        found: list[str] = []
        for kind, now in vars(self).items():
            before = vars(earlier)[kind]
            found += [f"new in {kind}: {entry}" for entry in sorted(now - before)]
            found += [f"gone from {kind}: {entry}" for entry in sorted(before - now)]
        return found


def take() -> Traces:
    """Look at the machine as it is now."""
    return Traces(
        mounts=frozenset(line.split()[1] for line in _text("/proc/self/mounts").splitlines()),
        links=frozenset(link["ifname"] for link in _ip("link")),
        addresses=frozenset(
            f"{link['ifname']} {address['local']}" for link in _ip("address") for address in link["addr_info"]
        ),
        routes=frozenset(f"{route['dst']} {route.get('dev')}" for route in _ip("route", "show", "table", "all")),
        policy_rules=frozenset(_output("ip", "rule").splitlines()),
        firewall=frozenset(
            line for command in ("iptables-save", "ip6tables-save") for line in _output(command).splitlines()
            if not line.startswith(("#", ":"))
        ),
        namespaces=frozenset(_output("ip", "netns", "list").split("\n")),
        control_groups=frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("*/*") if path.is_dir()),
        files=frozenset(str(path) for folder in FOLDERS if Path(folder).exists() for path in Path(folder).iterdir()),
        kernel_settings=frozenset(
            f"{name} = {_text(f'/proc/sys/{name}').strip()}"
            for name in KERNEL_SETTINGS
            if Path(f"/proc/sys/{name}").exists()
        ),
    )  # fmt: skip


def processes_of(name: str) -> list[str]:
    """Processes that have to do with the lab of this name: in its control groups, or with its folders on their line."""
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if "\nState:\tZ" in (folder / "status").read_text():
                continue  # dead, and its parent has yet to take note
            line = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue  # it has ended
        if f":/{name}/" in groups or f"/var/lib/{name}/" in line or f"/run/{name}/" in line:
            found.append(f"{folder.name} {line}")
    return found


def _ip(*arguments: str) -> list[dict[str, Any]]:
    return json.loads(_output("ip", "-json", *arguments) or "[]")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _text(path: str) -> str:
    return Path(path).read_text()
