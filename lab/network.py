"""The lab's network namespace, the cable to it, and the routes through the cable."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab


def run(*command: str | Path, check: bool = True) -> str:
    """Run a command of iproute2 or util-linux and return its output. Raises LabError with its message."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if check and result.returncode != 0:
        raise LabError(f"`{' '.join(map(str, command))}` failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def inside(lab: Lab) -> list[str]:
    """Return the prefix that runs a command in the lab's network. (`ip netns exec` would hide the cgroups.)"""
    return ["nsenter", f"--net={lab.namespace_file}", "--"]


def exists(lab: Lab) -> bool:
    """Return whether the namespace works; a reboot or a kill may leave an empty file of it."""
    if not lab.namespace_file.exists():
        return False
    return subprocess.run([*inside(lab), "true"], capture_output=True).returncode == 0


def complete(lab: Lab) -> bool:
    """Return whether namespace, cable and routes all exist."""
    if not exists(lab):
        return False
    link = subprocess.run(["ip", "-o", "link", "show", lab.host_link], capture_output=True, text=True)
    routed = {route["dst"] for route in routes() if route.get("dev") == lab.host_link}
    return link.returncode == 0 and "UP" in link.stdout and set(routed_ranges(lab)) <= routed


def create(lab: Lab) -> None:
    """Create namespace, cable and routes unless they exist."""
    if complete(lab):
        return
    remove(lab)
    lab.namespace_file.parent.mkdir(exist_ok=True)
    lab.namespace_file.touch()
    run("unshare", f"--net={lab.namespace_file}", "true")
    # These settings belong to the namespace; the machine's own stay as they are.
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
    """Return the ranges that the machine reaches through the node."""
    return [lab.load_balancer_range, lab.pod_range, lab.service_range]


def remove(lab: Lab) -> None:
    """Remove namespace and cable, and with them routes, bridges and firewall rules."""
    run("ip", "link", "delete", lab.host_link, check=False)
    if lab.namespace_file.exists():
        run("umount", "-n", "--lazy", lab.namespace_file, check=False)
        lab.namespace_file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it has other namespaces, or is a mount
        lab.namespace_file.parent.rmdir()


def routes() -> list[dict[str, str]]:
    """Return the machine's IPv4 routes of all tables, as iproute2 prints them."""
    return json.loads(run("ip", "-json", "-4", "route", "show", "table", "all") or "[]")


def conflicts(lab: Lab) -> list[str]:
    """Return the machine's addresses and routes that overlap the lab's network and are not its own."""
    overlaps: list[str] = []
    for route in routes():
        if route["dst"] == "default" or route.get("dev") == lab.host_link:
            continue
        destination = ipaddress.IPv4Network(route["dst"], strict=False)
        if destination.overlaps(lab.network):
            overlaps.append(f"{route['dst']} on {route.get('dev', 'an unknown device')}")
    return overlaps
