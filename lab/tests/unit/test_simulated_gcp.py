"""The simulated Google Cloud says of its resource types what SDK and documentation say of them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pulumi_gcp as sdk
import pytest

from lab.plugins.declared import failures, replacing
from lab.plugins.gcp.cloud import GoogleCloud
from lab.plugins.gcp.kind import GoogleKind
from lab.plugins.gcp.kubernetes import window_faults
from lab.plugins.properties import UNKNOWN

ROOT = Path(__file__).resolve().parents[3]
KINDS: dict[str, Any] = {kind.__name__: kind for kind in GoogleCloud.kinds}
#: The SDK leaves these optional: the provider asks for them, or takes a region from its own configuration.
REQUIRED_HERE = {
    "Subnetwork": {"ip_cidr_range", "region"},
    "Router": {"network", "region"},
    "RouterNat": {"region"},
    "Repository": {"location"},
    "RepositoryIamMember": {"location"},
    "Cluster": {"location"},
    "DatabaseInstance": {"region", "settings"},
}

#: Outputs that the simulation leaves out: of IPv6, of other services than the program uses, and of the provider itself.
LEFT_OUT = {
    "Subnetwork": {"ipv6_cidr_range", "ipv6_gce_endpoint", "state"},
    "Cluster": {"emulated_version", "operation", "tpu_ipv4_cidr_block"},
    "DatabaseInstance": {"available_maintenance_versions", "psc_service_attachment_link"},
    "User": {"iam_email", "sql_server_user_details"},
}


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def of_sdk(name: str, suffix: str = "") -> Any:
    """The SDK's class for a kind."""
    found = getattr(sdk, KINDS[name].module)
    return getattr(found, f"{name}{suffix}")


def token(name: str) -> str:
    return f"gcp:{KINDS[name].module}/{name[0].lower()}{name[1:]}:{name}"


@pytest.mark.parametrize("name", KINDS)
def test_inputs_are_those_of_the_sdk(name: str):
    parameters = inspect.signature(of_sdk(name, "Args").__init__).parameters
    known = {key: each for key, each in parameters.items() if key != "__self__"}
    declared = KINDS[name].properties
    assert {snake(each) for each in declared} <= known.keys()
    required = {key for key, parameter in known.items() if parameter.default is inspect.Parameter.empty}
    assert {snake(each) for each, wanted in declared.items() if wanted.required} == required | (
        REQUIRED_HERE.get(name, set())
    )


@pytest.mark.parametrize("name", KINDS)
def test_outputs_are_those_of_the_sdk(name: str):
    outputs = {each for each, value in vars(of_sdk(name)).items() if isinstance(value, property)}
    computed, known = ({snake(each) for each in names} for names in (KINDS[name].computed, KINDS[name].properties))
    assert computed <= outputs
    inputs = inspect.signature(of_sdk(name, "Args").__init__).parameters.keys()
    assert outputs - inputs - computed - known == LEFT_OUT.get(name, set())
    line = inspect.getsource(of_sdk(name)).partition("additional_secret_outputs=")[2].partition("\n")[0]
    marked = {each for each in re.findall(r'"(\w+)"', line) if snake(each) in computed | known}
    assert marked == KINDS[name].secret


@pytest.mark.parametrize("name", KINDS)
def test_types_are_named_as_the_sdk_names_them(name: str):
    assert f"'{token(name)}'" in inspect.getsource(of_sdk(name)).replace('"', "'")


def test_every_type_that_the_program_declares_is_simulated():
    sources = "".join(file.read_text() for file in (ROOT / "components" / "gcp").glob("*.py"))
    used = set(re.findall(r"gcp\.[a-z]+\.([A-Z]\w+)\(", sources))
    assert used == set(KINDS)


@pytest.mark.parametrize(
    ("opens", "closes", "recurrence", "said"),
    [
        ("2024-01-07T03:00:00Z", "2024-01-07T15:00:00Z", "FREQ=WEEKLY;BYDAY=SU", ""),
        ("2024-01-07T03:00:00Z", "2024-01-07T08:00:00Z", "FREQ=WEEKLY;BYDAY=SU", "20 hours"),
        ("2024-01-07T03:00:00Z", "2024-01-07T08:00:00Z", "FREQ=DAILY", ""),
        ("2024-01-07T03:00:00Z", "2024-01-07T05:00:00Z", "FREQ=DAILY", "2 hours"),
    ],
)
def test_a_maintenance_window_has_the_hours_that_gke_wants(opens: str, closes: str, recurrence: str, said: str):
    found = window_faults({"startTime": opens, "endTime": closes, "recurrence": recurrence})
    assert bool(found) == bool(said)
    assert not said or said in found[0].reason


@pytest.mark.parametrize(
    ("name", "replaces", "stays"),
    [
        ("Cluster", {"location", "network", "ipAllocationPolicy.servicesSecondaryRangeName"}, {"minMasterVersion"}),
        ("DatabaseInstance", {"region", "settings.diskType"}, {"databaseVersion", "settings.tier"}),
        ("Repository", {"location", "format"}, {"cleanupPolicies", "labels"}),
        ("Subnetwork", {"network", "ipCidrRange"}, {"privateIpGoogleAccess"}),
    ],
)
def test_what_makes_a_new_one(name: str, replaces: set[str], stays: set[str]):
    paths = set(replacing(KINDS[name].properties))
    assert replaces <= paths
    assert not stays & paths


def test_types_of_google_say_which_api_they_need():
    assert all(hasattr(kind, "api") for kind in KINDS.values() if kind.__name__ != "Service")
    assert all(issubclass(kind, GoogleKind) for kind in KINDS.values())


def test_unknown_values_are_taken_in_a_preview():
    given = {"name": "ours", "region": "europe-west3", "ipCidrRange": "10.64.0.0/20", "network": UNKNOWN}
    assert failures(KINDS["Subnetwork"].properties, given) == []
