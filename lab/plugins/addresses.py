"""Addresses of a simulated cloud's servers: each has one of its own, on the machine's end of the lab's cable.

They go with the cable.
"""

from __future__ import annotations

import ipaddress
import subprocess

from lab import network
from lab.layout import Lab


class Exhausted(Exception):
    """The lab has no address left."""


def take(lab: Lab) -> str:
    """An address that nothing has yet, reachable from pods and from this machine. Raises Exhausted."""
    for address in map(str, ipaddress.IPv4Network(lab.server_range).hosts()):
        command = ["ip", "address", "add", f"{address}/32", "dev", lab.host_link]
        if subprocess.run(command, capture_output=True).returncode == 0:  # else another has it
            put(lab, address)
            return address
    raise Exhausted(f"no address is left in {lab.server_range}, or the lab does not run")


def put(lab: Lab, address: str) -> None:
    """Make an address that was taken reachable; a restart of the lab has forgotten it. Raises LabError."""
    network.run("ip", "address", "replace", f"{address}/32", "dev", lab.host_link)
    route = ["ip", "route", "replace", lab.server_range, "via", lab.host_address, "dev", "eth0"]
    network.run(*network.inside(lab), *route)


def release(lab: Lab, address: str) -> None:
    """Give it back; it may be gone already."""
    network.run("ip", "address", "delete", f"{address}/32", "dev", lab.host_link, check=False)
