"""Which of the machine's routes conflict with the lab's network."""

from __future__ import annotations

import pytest

from lab import network
from lab.layout import Lab


@pytest.mark.parametrize(
    ("destination", "device", "conflicts"),
    [
        ("default", "eth0", False),
        ("192.0.2.0/24", "eth0", False),
        ("10.99.7.0/24", "docker0", True),
        ("10.0.0.0/8", "tun0", True),
        ("10.99.0.1", "eth0", True),
        ("10.99.64.0/18", "lab-10-99", False),
    ],
)
def test_conflicting_routes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, destination: str, device: str, conflicts: bool
) -> None:
    monkeypatch.setattr(network, "routes", lambda: [{"dst": destination, "dev": device}])
    assert network.conflicts(lab) == ([f"{destination} on {device}"] if conflicts else [])
