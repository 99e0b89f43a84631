"""Addresses of a simulated cloud's servers. Each server has its own, on the machine's end of the lab's link.

The addresses disappear with the link.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess

from lab import network
from lab.layout import Lab


class AddressesExhaustedError(Exception):
    """The lab has no free address."""


def take(lab: Lab, cloud: str) -> str:
    """Return a free address that pods and this machine can reach. Raises AddressesExhaustedError."""
    for address in map(str, ipaddress.IPv4Network(lab.server_range).hosts()):
        command = ["ip", "address", "add", f"{address}/32", "dev", lab.host_link, "label", _label(lab, cloud)]
        if subprocess.run(command, capture_output=True).returncode == 0:  # fails if the address is in use
            put(lab, address)
            return address
    raise AddressesExhaustedError(f"no address is free in {lab.server_range}, or the lab is not running")


def put(lab: Lab, address: str) -> None:
    """Make an address reachable again, as a restarted lab has lost it. Raises LabError."""
    network.run("ip", "address", "replace", f"{address}/32", "dev", lab.host_link)
    route = ["ip", "route", "replace", lab.server_range, "via", lab.host_address, "dev", "eth0"]
    network.run(*network.inside(lab), *route)


def release(lab: Lab, address: str) -> None:
    """Release an address; do nothing if it is free."""
    network.run("ip", "address", "delete", f"{address}/32", "dev", lab.host_link, check=False)


def release_all(lab: Lab, cloud: str) -> None:
    """Release all addresses of a cloud, including those that a killed plugin did not record."""
    for address in taken(lab, cloud):
        release(lab, address)


def taken(lab: Lab, cloud: str) -> list[str]:
    """Return the addresses that a cloud holds, as the kernel lists them."""
    shown = network.run("ip", "-json", "address", "show", "label", _label(lab, cloud), check=False)
    entries = (each for link in json.loads(shown or "[]") for each in link.get("addr_info", []))
    return [each["local"] for each in entries if "local" in each]  # entries with another label are empty


def _label(lab: Lab, cloud: str) -> str:
    """Return a label that starts with the device's name; the kernel allows 15 characters."""
    return f"{lab.host_link}:{cloud[:3]}"
