"""Which addresses of the machine would collide with the lab's."""

from __future__ import annotations

import pytest

from lab import network
from lab.layout import Lab


@pytest.mark.parametrize(
    ("destination", "device", "collides"),
    [
        ("default", "eth0", False),
        ("192.0.2.0/24", "eth0", False),
        ("10.99.7.0/24", "docker0", True),
        ("10.0.0.0/8", "tun0", True),
        ("10.99.0.1", "eth0", True),
        ("10.99.64.0/18", "lab-10-99", False),
    ],
)
def test_routes_that_overlap(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, destination: str, device: str, collides: bool
) -> None:
    monkeypatch.setattr(network, "routes", lambda: [{"dst": destination, "dev": device}])
    assert network.conflicts(lab) == ([f"{destination} on {device}"] if collides else [])
