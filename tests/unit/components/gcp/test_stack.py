"""A whole stack on Google Cloud: resources, sizes, labels, protection and order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.gcp.project import PROJECT_CONFIG
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.clouds import config_of
from tests.unit.components.gcp.simulated import google
from tests.unit.components.graphs import all_before


def test_google_itself_refuses_to_delete_production(graph: Callable[..., Any]):
    def refusing(stack: Any) -> tuple[bool, bool, bool]:
        server = google(stack, "DatabaseInstance").inputs
        return (
            google(stack, "Cluster").inputs["deletionProtection"],
            server["deletionProtection"],
            server["settings"]["deletionProtectionEnabled"],
        )

    assert refusing(graph()) == (True, True, True)
    assert refusing(graph(deletionProtection=False)) == (False, False, False)


def test_random_names_are_kept_in_the_state(graph: Callable[..., Any]):
    stack = graph()
    endings = {each.urn: each.inputs["keepers"] for each in stack.all("RandomId")}
    for kind, keepers in (("Cluster", {"region", "network", "subnetwork"}), ("DatabaseInstance", {"region"})):
        resource = google(stack, kind)
        assert resource.inputs["name"] == "addressbook-test-0a1b2c"
        assert len(resource.inputs["name"]) - len("addressbook-test") == 7, "components/gcp/project.py counts on it"
        (ending,) = endings.keys() & set(resource.dependencies)
        assert set(endings[ending]) == keepers, "a replacement has another name"


def test_workloads_wait_for_everything_they_need(graph: Callable[..., Any]):
    stack = graph()
    (provider,) = stack.all("kubernetes")
    needed = {
        google(stack, kind).urn for kind in ("RouterNat", "IAMMember", "RepositoryIamMember", "Cluster", "Subnetwork")
    }
    assert needed <= all_before(stack, provider)


def test_destroy_deletes_server_then_peering_then_network(graph: Callable[..., Any]):
    stack = graph()
    server, peering, network = (google(stack, kind) for kind in ("DatabaseInstance", "Connection", "Network"))
    assert peering.urn in server.dependencies
    assert google(stack, "GlobalAddress").urn in peering.dependencies
    assert network.urn in all_before(stack, peering)
    assert peering.inputs["deletionPolicy"] == "REMOVE_PEERING"
    assert peering.inputs["updateOnCreationFail"] is True, "Google remembers the connection of an earlier network"
    for kind in ("Database", "User"):
        assert google(stack, kind).inputs["deletionPolicy"] == "ABANDON", (
            "PostgreSQL would refuse; it goes with the server"
        )


def test_the_stack_file_is_valid_with_a_project(keys: Callable[..., Any], errors: Callable[..., list[str]]):
    values = config_of("prod-gcp")
    (error,) = errors(**values)
    assert error.startswith("gcp:project = 'YOUR-PROJECT-ID': must be a project's id"), "or Google gets it"
    platform = keys(**{**values, PROJECT_CONFIG: "acme-prod-1"})
    assert (platform.region, platform.deletion_protection) == ("europe-west3", True)


@pytest.mark.parametrize(("project", "in_project"), [("", "platform-1"), ("acme-prod-1", None)])
def test_a_release_stacks_record_is_in_a_project(
    graph: Callable[..., Any], cloud: Any, project: str, in_project: str | None
):
    """A release stack needs no project of its own, and the provider would miss it only after the Service is made."""
    outputs = json.loads(json.dumps(graph().outputs))
    outputs["platform"]["access"]["cluster"] = "projects/platform-1/locations/us-central1/clusters/prod"
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    release = {"platformStack": "prod", "namespace": "branch-one", "kubernetesVersion": "", "region": ""}
    entrance = {"hostname": "one.example.com", "dnsZone": "example-com"}
    record = graph(**release, **entrance, **{"gcp:project": project}).one("RecordSet", "hostname")
    assert record.inputs.get("project") == in_project
