"""Config and prerequisites that every cloud refuses before anything is created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.components.clouds import CLOUDS
from tests.unit.components.simulated import SimulatedCloud

REFUSED_EVERYWHERE = [
    ("region", "Frankfurt"),
    ("kubernetesVersion", "latest"),
    ("databaseVersion", "14"),
    ("maintenanceWindow", "sunday"),
    ("maintenanceWindow", "sunday 25:00"),
    ("deletionProtection", "maybe"),
]
REFUSED = {
    "aws": [
        ("region", "us-gov-west-1"),
        ("kubernetesVersion", "1.29"),
        ("nodeCount", "-1"),
        ("nodeSize", "t2.nano"),
        ("nodeSize", "large"),
        ("networkRange", "10.64.0.0/24"),
        ("networkRange", "8.8.0.0/16"),
        ("networkRange", "10.64.0.1/16"),
        ("databaseSize", "t4g.micro"),
        ("databaseAuthority", "certificates/none.pem"),
    ],
    "digitalocean": [
        ("nodeCount", "-1"),
        ("registry", "https://registry.example"),
    ],
    "gcp": [
        ("region", "europe-west3-a"),
        ("kubernetesVersion", "1.34.1-do.0"),
        ("networkRange", "10.64.0.0/20"),
        ("networkRange", "8.8.0.0/16"),
        ("networkRange", "172.17.0.0/16"),
        ("networkRange", "127.0.0.0/16"),
        ("networkRange", "10.64.0.1/16"),
        ("databaseSize", "db-n1-standard-1"),
        ("databaseSize", "db-custom-3-7680"),
        ("databaseSize", "db-custom-1-3000"),
        ("databaseSize", "db-custom-1-3900"),
        ("databaseSize", "db-custom-2-20480"),
        ("nodeCount", "3"),
        ("nodeSize", "e2-small"),
        ("registry", "ours"),
    ],
}
#: Stack names that make invalid resource names.
UNUSABLE_NAMES = {
    "aws": ["Prod", "prod_aws", "prod--aws", "p" * 50, "prod-"],
    "digitalocean": ["Prod", "prod_1", "p" * 60, "prod-"],
    "gcp": ["Prod", "prod_1", "a-stack-whose-name-is-long"],
}


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


@pytest.mark.parametrize(
    ("simulated", "key", "value"),
    [
        pytest.param(cloud, key, value, id=f"{cloud.name}-{key}-{value}")
        for cloud in CLOUDS
        for key, value in (*REFUSED_EVERYWHERE, *REFUSED[cloud.name])
    ],
    indirect=["simulated"],
)
def test_values_that_the_cloud_refuses_are_refused_first(errors: Callable[..., list[str]], key: str, value: str):
    (error,) = errors(**{key: value})
    assert error.startswith(f"{key} = '{value}'")


@pytest.mark.parametrize(
    ("simulated", "stack"),
    [
        pytest.param(cloud, stack, id=f"{cloud.name}-{stack}")
        for cloud in CLOUDS
        for stack in UNUSABLE_NAMES[cloud.name]
    ],
    indirect=["simulated"],
)
def test_a_stack_name_that_makes_invalid_names_is_refused(
    errors: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, stack: str
):
    monkeypatch.setattr("pulumi.get_stack", lambda: stack)
    (error,) = errors()
    assert error.startswith(f"stack: its resources would be called `addressbook-{stack}`")


def test_deletion_protection_can_be_switched_off(keys: Callable[..., Any]):
    assert keys().deletion_protection is True
    assert keys(deletionProtection="false").deletion_protection is False


def test_all_missing_prerequisites_are_reported_at_once(
    errors: Callable[..., list[str]], account: Path, simulated: SimulatedCloud, monkeypatch: pytest.MonkeyPatch
):
    simulated.sign_out(account, monkeypatch)
    (account / simulated.command).unlink()
    monkeypatch.setenv("PATH", str(account))
    missing = errors(kubernetesVersion="")
    assert tuple(error.split(": ")[0] for error in missing) == simulated.missing
