"""Everything a lab could leave on a machine, to compare before `up` and after `down`."""

from __future__ import annotations

import json
import re
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
    """A snapshot of the machine. Traces of other labs, which may come and go meanwhile, are left out of comparisons."""

    entries: frozenset[str]
    other_labs: frozenset[str]

    def differences(self, earlier: Traces) -> list[str]:
        """Return what has appeared or disappeared since the earlier snapshot."""
        others = self.other_labs | earlier.other_labs

        def ours(entries: frozenset[str]) -> list[str]:
            return sorted(entry for entry in entries if not any(name in entry for name in others))

        added, removed = self.entries - earlier.entries, earlier.entries - self.entries
        return [*(f"new {entry}" for entry in ours(added)), *(f"gone {entry}" for entry in ours(removed))]


def take(name: str, network: str) -> Traces:
    """Take a snapshot of the machine for the lab with this name and network."""
    links, routes = _ip("address"), _ip("route", "show", "table", "all")
    rules = [*_output("iptables-save").splitlines(), *_output("ip6tables-save").splitlines()]
    entries = [f"mount {line.split()[1]}" for line in _text("/proc/self/mounts").splitlines()]
    entries += [f"link {link['ifname']}" for link in links]
    entries += [f"address {link['ifname']} {each['local']}" for link in links for each in link["addr_info"]]
    entries += [f"route {route['dst']} {route.get('dev')}" for route in routes]
    entries += [f"policy rule {rule}" for rule in _output("ip", "rule").splitlines()]
    entries += [f"firewall rule {rule}" for rule in rules if not rule.startswith(("#", ":"))]
    entries += [f"network namespace {line}" for line in _output("ip", "netns", "list").splitlines()]
    entries += [f"control group {path}" for path in Path("/sys/fs/cgroup").glob("*/*") if path.is_dir()]
    entries += [f"file {path}" for folder in FOLDERS if Path(folder).exists() for path in Path(folder).iterdir()]
    settings = [setting for setting in KERNEL_SETTINGS if Path(f"/proc/sys/{setting}").exists()]
    entries += [f"kernel setting {setting} = {_text(f'/proc/sys/{setting}').strip()}" for setting in settings]
    own_link = "lab-" + "-".join(network.split(".")[:2])
    others = {link["ifname"] for link in links if re.fullmatch(r"lab-\d+-\d+", link["ifname"])} - {own_link}
    others |= {state.parent.name for state in Path("/var/lib").glob("*/kubeconfigs")} - {name}
    # Another lab has its namespace in /run/netns: ignore the folder while one runs.
    return Traces(frozenset(entries), frozenset(others | ({"/run/netns"} if others else set())))


def processes_of(name: str) -> list[str]:
    """Return the lab's processes: those in its control groups, or with its folders in their command line."""
    processes: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if "\nState:\tZ" in (folder / "status").read_text():
                continue  # a zombie
            line = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue  # the process has ended
        if f":/{name}/" in groups or f"/var/lib/{name}/" in line or f"/run/{name}/" in line:
            processes.append(f"{folder.name} {line}")
    return processes


def _ip(*arguments: str) -> list[dict[str, Any]]:
    return json.loads(_output("ip", "-json", *arguments) or "[]")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _text(path: str) -> str:
    return Path(path).read_text()
