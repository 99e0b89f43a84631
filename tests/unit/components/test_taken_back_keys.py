"""A config key that is set and then unset leaves no optional input of a cloud resource unset.

After a refresh, the providers' bridge no longer knows which old inputs were defaults. It takes the old value of an
input that the program leaves unset for its default, and keeps it (pulumi-terraform-bridge, applyDefaults).
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from tests.unit.components.aws.simulated import ADMINISTRATOR, CALLER
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.graphs import cloud_resources, leaves
from tests.unit.components.simulated import SimulatedCloud

#: A value that is not the default, for keys whose field does not show one (its example, another bool or number).
SAMPLES: Mapping[str, Any] = {
    "allowedSources": ["203.0.113.0/24"],
    "apiServerAccess": ["203.0.113.0/24"],
    "addonVersions": {"coredns": "v1.12.1-eksbuild.2"},
    "awsAccount": "",  # only compared
    "certificate": "",  # needs a host name, and configures no resource of the cloud
    "certificateArn": "",  # the same
    "clusterAdministrators": [ADMINISTRATOR, CALLER],
    "clusterViewers": "",  # needs clusterAdministrators, and only adds resources
    "databaseAuthority": "",  # mandatory
    "databaseClientImage": "postgres:16-bookworm",
    "databaseRestore": "",  # its inputs are kept when it is unset (test_restore.py)
    "databaseSize": {"aws": "db.t4g.small", "digitalocean": "db-s-2vcpu-4gb", "gcp": "db-custom-2-7680"},
    "databaseVersion": "16",
    "dnsZone": "",  # needs a host name, and only adds resources
    "gateway": "",  # configures no resource of the cloud
    "gatewayImage": "",  # configures no resource of the cloud
    "hostname": "addressbook.example.com",
    "imageVerification": "",  # configures no resource
    "maintenanceWindow": "monday 05:00",
    "maxNodeCount": 5,
    "nodeSize": {"aws": "t3.medium", "digitalocean": "s-4vcpu-8gb"},
    "permissionsBoundary": "arn:aws:iam::123456789012:policy/limits",
    "registry": "ours",
    "tags": "",  # an entry of a map has no default
    "registryName": "acme",
    "tls": "",  # needs a gateway
}
#: Inputs that may go from set to unset, with the reason.
HARMLESS = {
    "permissionsBoundary": "has no default; the provider deletes the boundary (iam/role.go)",
}
#: How a description says that a change of the key keeps no input, because the resources are new.
REPLACES = re.compile(r"A change replaces (everything|the cluster)")
LIST_INDEX = re.compile(r"\[[0-9]+\]")


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return request.param


def sample(cloud: SimulatedCloud, key: str, field: FieldInfo) -> Any:
    """Return a value of the key that differs from its default; None if it is mandatory or replaces what it concerns."""
    if field.is_required() or REPLACES.search(field.description or ""):
        return None
    if key in SAMPLES:
        value = SAMPLES[key]
        return value[cloud.name] if isinstance(value, dict) and cloud.name in value else value
    if field.examples:
        return field.examples[0]
    if isinstance(field.default, bool):
        return not field.default
    if typing.get_origin(field.annotation) is typing.Literal:
        return next(value for value in typing.get_args(field.annotation) if value != field.default)
    assert isinstance(field.default, int), f"add a value for {key} to SAMPLES"
    return field.default + 1


def inputs(graph: Any, cloud: str) -> set[str]:
    """Return the resources' inputs as ``URN path``, without list indexes."""
    return {
        f"{resource.urn} {LIST_INDEX.sub('[]', path)}"
        for resource in cloud_resources(graph, cloud)
        for path, value in leaves(resource.inputs)
        if value is not None
    }


def kept(graph: Any, cloud: str) -> set[str]:
    """Return the inputs whose old value the engine keeps, as ``URN path``."""
    return {f"{each.urn} {name}" for each in cloud_resources(graph, cloud) for name in each.options.ignoreChanges}


def test_no_input_goes_from_set_to_unset(graph: Callable[..., Any], simulated: SimulatedCloud):
    before = graph()
    urns, known = {each.urn for each in before.resources}, inputs(before, simulated.name)
    unchanged = kept(before, simulated.name)
    harmless = {f"{urn} {name}" for urn in urns for name in HARMLESS}
    unset: dict[str, list[str]] = {}
    for name, field in simulated.keys.model_fields.items():
        key = field.alias or name
        value = sample(simulated, key, field)
        if value in (None, ""):
            continue
        after = inputs(graph(**{key: value}), simulated.name)
        gone = [path for path in after - known if path.split(" ")[0] in urns]
        if gone := [path for path in gone if path.partition(".")[0].partition("[")[0] not in unchanged | harmless]:
            unset[key] = sorted(gone)
    assert not unset, json.dumps(unset, indent=1)


def names(resource: Any) -> set[str]:
    """Return the URNs of the resources that the resource's own name comes from."""
    dependencies = resource.options.propertyDependencies
    return {urn for name in ("name", "nodeGroupName") if name in dependencies for urn in dependencies[name].urns}


def test_random_names_say_which_is_deleted_first(graph: Callable[..., Any], simulated: SimulatedCloud):
    """Otherwise the bridge deletes first, because the name was given explicitly."""
    stack = graph()
    suffixes = {each.urn for each in stack.all("RandomId")}
    named = [each for each in cloud_resources(stack, simulated.name) if suffixes & names(each)]
    assert len(named) == len(suffixes)
    assert [each.urn for each in named if not each.options.deleteBeforeReplaceDefined] == []
