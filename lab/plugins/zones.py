"""Host names of a simulated cloud's servers, as zones of the lab's DNS that pods ask."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Mapping

from lab.files import write
from lab.layout import Lab

ANSWER_SECONDS = 15.0  # longest wait for a name to be known; DNS checks its zones every second
TTL_SECONDS = 5  # a rehearsal's names change sooner than a cloud's
DNS_PORT = 53

ZONE = """\
$ORIGIN {zone}.
@ {ttl} IN SOA ns hostmaster {serial} 3600 600 86400 {ttl}
@ {ttl} IN NS ns
ns {ttl} IN A {server}
"""


def put(lab: Lab, zone: str, addresses: Mapping[str, str]) -> None:
    """Write the zone: an IPv4 address for each full host name, without the trailing dot.

    Return when DNS knows the names or ANSWER_SECONDS have passed. A cloud's DNS does not promise more.
    """
    file = lab.zones / f"{zone}.zone"
    records = "".join(f"{name}. {TTL_SECONDS} IN A {address}\n" for name, address in sorted(addresses.items()))
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    head = ZONE.format(zone=zone, ttl=TTL_SECONDS, serial=_serial(before), server=lab.node_address)
    if before != head + records:
        head = ZONE.format(zone=zone, ttl=TTL_SECONDS, serial=_serial(before) + 1, server=lab.node_address)
        write(file, head + records)
    deadline = time.monotonic() + ANSWER_SECONDS
    for name, address in addresses.items():
        while not known(lab, name, address) and time.monotonic() < deadline:
            time.sleep(0.1)


def remove(lab: Lab, zone: str) -> None:
    """Remove the zone if it exists."""
    (lab.zones / f"{zone}.zone").unlink(missing_ok=True)


def _serial(content: str) -> int:
    """Return a written zone's serial; DNS reloads a zone when its serial has grown."""
    words = content.split()
    return int(words[words.index("hostmaster") + 1]) if words else int(time.time())


def known(lab: Lab, name: str, address: str) -> bool:
    """Return whether the lab's DNS has this IPv4 address for a host name."""
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    query = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            client.sendto(query, (lab.node_address, DNS_PORT))
            answer = client.recv(4096)
        except OSError:
            return False
    # The length and content of an address record; nothing else in the answer has this form.
    return b"\0\4" + socket.inet_aton(address) in answer
