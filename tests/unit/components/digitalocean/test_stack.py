"""The whole of a stack on DigitalOcean: what is bought, tagged and protected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from contract.project import PROJECT_ROOT
from tests.unit.components.graphs import made_in, short


def test_what_is_bought(graph: Callable[..., Any]):
    made = graph()
    assert sorted(short(each) for each in made_in(made, "digitalocean")) == [
        "ContainerRegistry",
        "ContainerRegistryDockerCredentials",
        "DatabaseCluster",
        "DatabaseDb",
        "DatabaseFirewall",
        "DatabaseUser",
        "KubernetesCluster",
        "KubernetesNodePool",
        "Vpc",
    ]
    cluster = made.one("KubernetesCluster").inputs
    assert (cluster["version"], cluster["surgeUpgrade"], cluster["autoUpgrade"]) == ("1.34.1-do.0", True, False)
    assert cluster["ha"] is False
    assert cluster["maintenancePolicy"] == {"day": "sunday", "startTime": "03:00"}
    assert cluster["registryIntegration"] is True
    assert cluster["nodePool"]["nodeCount"] == 1
    workers = made.one("KubernetesNodePool").inputs
    assert (workers["nodeCount"], workers["size"]) == (3, "s-2vcpu-2gb")
    database = made.one("DatabaseCluster").inputs
    assert (database["engine"], database["version"], database["nodeCount"]) == ("pg", "15", 1)
    assert database["size"] == "db-s-1vcpu-1gb"
    assert database["maintenanceWindows"] == [{"day": "sunday", "hour": "03:00"}]
    assert database["storageAutoscale"] == {"enabled": True, "thresholdPercent": 80, "incrementGib": 10}
    assert made.one("DatabaseDb").inputs["name"] == "demo"
    assert made.one("DatabaseUser").inputs["name"] == "demouser"


def test_high_availability_is_a_standby_and_a_control_plane_of_several_nodes(graph: Callable[..., Any]):
    made = graph(highAvailability=True)
    assert made.one("KubernetesCluster").inputs["ha"] is True
    database = made.one("DatabaseCluster").inputs
    assert (database["nodeCount"], database["size"]) == (2, "db-s-1vcpu-2gb")


def test_one_private_network_and_one_client_of_the_database(graph: Callable[..., Any]):
    made = graph()
    network = made.one("Vpc")
    assert made.one("KubernetesCluster").inputs["vpcUuid"] == "network-id"
    assert made.one("DatabaseCluster").inputs["privateNetworkUuid"] == "network-id"
    firewall = made.one("DatabaseFirewall")
    assert firewall.inputs["rules"] == [{"type": "k8s", "value": "cluster-id"}]
    for guarded in (made.one("DatabaseDb"), made.one("DatabaseUser")):
        assert firewall.urn in guarded.dependencies, "nothing is in the database while it is open to everybody"
    assert made.one("DatabaseUser").urn in made.one("DatabaseDb").dependencies, "or the user can't be deleted"
    assert network.inputs["name"] == "addressbook-test"


def test_a_throw_away_cluster_takes_its_volumes_and_load_balancers_with_it(graph: Callable[..., Any]):
    def taken(made: Any) -> bool:
        return made.one("KubernetesCluster").inputs["destroyAllAssociatedResources"]

    assert taken(graph()) is False
    assert taken(graph(deletionProtection=False)) is True


def test_everything_that_takes_tags_is_tagged(graph: Callable[..., Any]):
    tags = ["pulumi-project:addressbook", "pulumi-stack:test"]
    made = graph()
    for kind in ("KubernetesCluster", "KubernetesNodePool", "DatabaseCluster"):
        assert made.one(kind).inputs["tags"] == tags, kind
    assert made.one("KubernetesCluster").inputs["nodePool"]["tags"] == tags
    assert "stack test" in made.one("Vpc").inputs["description"]


def test_the_stack_file_is_right(keys: Callable[..., Any]):
    config = yaml.safe_load((PROJECT_ROOT / "Pulumi.prod.yaml").read_text())["config"]
    platform = keys(**{key.removeprefix("addressbook:"): str(value) for key, value in config.items()})
    assert (platform.region, platform.node_count, platform.deletion_protection) == ("fra1", 3, True)
