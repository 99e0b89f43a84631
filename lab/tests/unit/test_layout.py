"""Names and addresses of a lab, from the environment."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.layout import Lab

LONGEST_LINK = 15  # characters that Linux allows in an interface's name


def test_default_lab_has_the_documented_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADDRESSBOOK_LAB_NAME", "ADDRESSBOOK_LAB_NETWORK", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    lab = Lab.from_environment()
    assert lab.name == "addressbook-lab"
    assert (lab.host_address, lab.node_address) == ("10.203.0.1", "10.203.0.2")
    assert lab.api_url == "https://10.203.0.2:6443"
    assert lab.registry == "10.203.0.1:5000"
    assert lab.load_balancer_range == "10.203.1.0/24"
    assert lab.pod_range == "10.203.64.0/18"
    assert lab.service_range == "10.203.128.0/18"
    assert lab.kubernetes_service == "10.203.128.1"
    assert lab.kubeconfig == Path("/var/lib/addressbook-lab/kubeconfig")
    assert lab.docker_socket == Path("/run/addressbook-lab/docker.sock")
    assert lab.cache == Path.home() / ".cache" / "addressbook-lab"


def test_ranges_are_disjoint_and_inside_the_network(lab: Lab) -> None:
    ranges = [
        ipaddress.IPv4Network(text)
        for text in (lab.cable_network, lab.load_balancer_range, lab.pod_range, lab.service_range)
    ]
    assert all(one.subnet_of(lab.network) for one in ranges)
    assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)


@pytest.mark.parametrize("network", ["10.0.0.0/16", "172.31.0.0/16", "192.168.0.0/16", "198.181.0.0/16"])
def test_link_name_fits_the_kernels_limit(network: str, tmp_path: Path) -> None:
    assert len(Lab("x", ipaddress.IPv4Network(network), tmp_path).host_link) <= LONGEST_LINK


def test_environment_describes_a_second_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADDRESSBOOK_LAB_NAME", "second")
    monkeypatch.setenv("ADDRESSBOOK_LAB_NETWORK", "10.77.0.0/16")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lab = Lab.from_environment()
    assert (lab.name, lab.registry, lab.host_link) == ("second", "10.77.0.1:5000", "lab-10-77")
    assert lab.cache == tmp_path / "addressbook-lab"


@pytest.mark.parametrize("name", ["Lab", "../etc", "1lab", "lab lab", "x" * 32, "-lab"])
def test_invalid_name_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADDRESSBOOK_LAB_NAME", name)
    with pytest.raises(LabError, match="is not a valid name"):
        Lab.from_environment()


@pytest.mark.parametrize("network", ["10.203.0.0/24", "10.203.0.1/16", "fd00::/16", "lab"])
def test_network_must_be_a_16(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADDRESSBOOK_LAB_NETWORK", network)
    with pytest.raises(LabError, match=r"10\.203\.0\.0/16"):
        Lab.from_environment()
