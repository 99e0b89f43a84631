"""A whole stack on DigitalOcean: resources, sizes, tags and protection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.components.clouds import config_of


def test_high_availability_adds_control_plane_and_standby(graph: Callable[..., Any]):
    stack = graph(highAvailability=True)
    assert stack.one("KubernetesCluster").inputs["ha"] is True
    database = stack.one("DatabaseCluster").inputs
    assert (database["nodeCount"], database["size"]) == (2, "db-s-1vcpu-2gb")


def test_only_the_cluster_reaches_the_database(graph: Callable[..., Any]):
    stack = graph()
    network = stack.one("Vpc")
    assert stack.one("KubernetesCluster").inputs["vpcUuid"] == "network-id"
    assert stack.one("DatabaseCluster").inputs["privateNetworkUuid"] == "network-id"
    firewall = stack.one("DatabaseFirewall")
    assert firewall.inputs["rules"] == [{"type": "k8s", "value": "cluster-id"}]
    for guarded in (stack.one("DatabaseDb"), stack.one("DatabaseUser")):
        assert firewall.urn in guarded.dependencies, "the database is empty while it is open to everybody"
    assert stack.one("DatabaseUser").urn in stack.one("DatabaseDb").dependencies, "otherwise the user cannot be deleted"
    assert network.inputs["name"] == "addressbook-test"


def test_an_unprotected_cluster_is_deleted_with_its_volumes(graph: Callable[..., Any]):
    def deletes_volumes(stack: Any) -> bool:
        return stack.one("KubernetesCluster").inputs["destroyAllAssociatedResources"]

    assert deletes_volumes(graph()) is False
    assert deletes_volumes(graph(deletionProtection=False)) is True


def test_the_stack_file_is_valid(keys: Callable[..., Any]):
    platform = keys(**config_of("prod"))
    assert (platform.region, platform.node_count, platform.deletion_protection) == ("fra1", 3, True)
