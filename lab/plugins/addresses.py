"""Addresses of a simulated cloud's servers: each has one of its own, on the machine's end of the lab's cable.

They go with the cable.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess

from lab import network
from lab.layout import Lab


class Exhausted(Exception):
    """The lab has no address left."""


def take(lab: Lab, cloud: str) -> str:
    """An address that nothing has yet, reachable from pods and from this machine. Raises Exhausted."""
    for address in map(str, ipaddress.IPv4Network(lab.server_range).hosts()):
        command = ["ip", "address", "add", f"{address}/32", "dev", lab.host_link, "label", _label(lab, cloud)]
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


def release_all(lab: Lab, cloud: str) -> None:
    """Give back all that a cloud has taken, also what a killed plugin had no time to write down."""
    for address in taken(lab, cloud):
        release(lab, address)


def taken(lab: Lab, cloud: str) -> list[str]:
    """The addresses that a cloud has, by the kernel's word."""
    shown = network.run("ip", "-json", "address", "show", "label", _label(lab, cloud), check=False)
    found = (each for link in json.loads(shown or "[]") for each in link.get("addr_info", []))
    return [each["local"] for each in found if "local" in each]  # else one with another label


def _label(lab: Lab, cloud: str) -> str:
    """The device and a word, as the kernel wants it, which allows 15 characters."""
    return f"{lab.host_link}:{cloud[:3]}"
