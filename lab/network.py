"""The lab's network namespace, the cable to it and the routes through it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab


def run(*command: str | Path, check: bool = True) -> str:
    """Run a command of iproute2 or util-linux; its standard output. Raises LabError with what the command said."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if check and result.returncode != 0:
        raise LabError(f"`{' '.join(map(str, command))}` failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def inside(lab: Lab) -> list[str]:
    """What to put before a command so that it runs in the lab's network. (`ip netns exec` would hide the cgroups.)"""
    return ["nsenter", f"--net={lab.namespace_file}", "--"]


def exists(lab: Lab) -> bool:
    """Whether the namespace is there and works (after a reboot or a kill an empty file may be left of it)."""
    if not lab.namespace_file.exists():
        return False
    return subprocess.run([*inside(lab), "true"], capture_output=True).returncode == 0


def complete(lab: Lab) -> bool:
    """Whether namespace, cable and routes are all in place."""
    if not exists(lab):
        return False
    link = subprocess.run(["ip", "-o", "link", "show", lab.host_link], capture_output=True, text=True)
    routed = {route["dst"] for route in routes() if route.get("dev") == lab.host_link}
    return link.returncode == 0 and "UP" in link.stdout and set(routed_ranges(lab)) <= routed


def create(lab: Lab) -> None:
    """Make what is missing; repeatable."""
    if complete(lab):
        return
    remove(lab)
    lab.namespace_file.parent.mkdir(exist_ok=True)
    lab.namespace_file.touch()
    run("unshare", f"--net={lab.namespace_file}", "true")
    # Forwarding and reverse-path checks belong to the namespace: the machine's own settings stay as they are.
    settings = "net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"
    run(*inside(lab), "sysctl", "-qw", *settings.split())
    run(*inside(lab), "ip", "link", "set", "lo", "up")
    run("ip", "link", "add", lab.host_link, "type", "veth", "peer", "name", "eth0", "netns", lab.name)
    prefix = lab.cable_network.split("/")[1]
    run(*inside(lab), "ip", "address", "add", f"{lab.node_address}/{prefix}", "dev", "eth0")
    run(*inside(lab), "ip", "link", "set", "eth0", "up")
    run("ip", "address", "add", f"{lab.host_address}/{prefix}", "dev", lab.host_link)
    run("ip", "link", "set", lab.host_link, "up")
    for addresses in routed_ranges(lab):
        run("ip", "route", "add", addresses, "via", lab.node_address, "dev", lab.host_link)


def routed_ranges(lab: Lab) -> list[str]:
    """The ranges that the machine reaches through the node."""
    return [lab.load_balancer_range, lab.pod_range, lab.service_range]


def remove(lab: Lab) -> None:
    """Remove namespace and cable; routes go with the cable, bridges and firewall rules with the namespace."""
    run("ip", "link", "delete", lab.host_link, check=False)
    if lab.namespace_file.exists():
        run("umount", "-n", "--lazy", lab.namespace_file, check=False)
        lab.namespace_file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other namespaces are in there, or it is a mount of somebody else's
        lab.namespace_file.parent.rmdir()


def routes() -> list[dict[str, str]]:
    """The machine's IPv4 routes of all tables, as iproute2 prints them."""
    return json.loads(run("ip", "-json", "-4", "route", "show", "table", "all") or "[]")


def conflicts(lab: Lab) -> list[str]:
    """Addresses and routes of the machine that overlap the lab's network and are not the lab's own."""
    found: list[str] = []
    for route in routes():
        if route["dst"] == "default" or route.get("dev") == lab.host_link:
            continue
        destination = ipaddress.IPv4Network(route["dst"], strict=False)
        if destination.overlaps(lab.network):
            found.append(f"{route['dst']} on {route.get('dev', 'an unknown device')}")
    return found
