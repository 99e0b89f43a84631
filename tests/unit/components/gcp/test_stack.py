"""The whole of a stack on Google Cloud: what is bought, labelled, protected, and in which order it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from components.gcp.project import PROJECT_CONFIG
from contract.project import PROJECT_ROOT
from tests.unit.components.gcp.simulated import LABELS, google
from tests.unit.components.graphs import all_before, made_in, short


def test_what_is_bought(graph: Callable[..., Any]):
    made = graph()
    kinds = [short(each) for each in made_in(made, "gcp") if short(each) != "Service"]
    assert sorted(kinds) == [
        "Account",
        "Cluster",
        "Connection",
        "Database",
        "DatabaseInstance",
        "GlobalAddress",
        "IAMMember",
        "ManagedZone",
        "Network",
        "RecordSet",
        "Repository",
        "RepositoryIamMember",
        "Router",
        "RouterNat",
        "Subnetwork",
        "User",
    ]
    cluster = google(made, "Cluster").inputs
    assert (cluster["enableAutopilot"], cluster["location"]) == (True, "us-central1")
    assert (cluster["minMasterVersion"], cluster["releaseChannel"]) == ("1.34", {"channel": "REGULAR"})
    assert cluster["maintenancePolicy"]["recurringWindow"] == {
        "startTime": "2024-01-07T03:00:00Z",
        "endTime": "2024-01-07T15:00:00Z",
        "recurrence": "FREQ=WEEKLY;BYDAY=SU",
    }
    database = google(made, "DatabaseInstance").inputs
    settings = database["settings"]
    assert (database["databaseVersion"], settings["tier"], settings["edition"]) == (
        "POSTGRES_15",
        "db-custom-1-3840",
        "ENTERPRISE",
    )
    assert settings["availabilityType"] == "ZONAL"
    assert (settings["diskType"], settings["diskAutoresize"]) == ("PD_SSD", True)
    assert settings["maintenanceWindow"] == {"day": 7, "hour": 3, "updateTrack": "stable"}
    assert google(made, "Database").inputs["name"] == "demo"
    assert google(made, "User").inputs["name"] == "demouser"


def test_google_itself_refuses_to_take_production(graph: Callable[..., Any]):
    def refusing(made: Any) -> tuple[bool, bool, bool]:
        server = google(made, "DatabaseInstance").inputs
        return (
            google(made, "Cluster").inputs["deletionProtection"],
            server["deletionProtection"],
            server["settings"]["deletionProtectionEnabled"],
        )

    assert refusing(graph()) == (True, True, True)
    assert refusing(graph(deletionProtection=False)) == (False, False, False)


def test_everything_that_takes_labels_is_labelled(graph: Callable[..., Any]):
    made = graph()
    assert google(made, "Cluster").inputs["resourceLabels"] == LABELS
    assert google(made, "DatabaseInstance").inputs["settings"]["userLabels"] == LABELS
    for kind in ("Repository", "GlobalAddress", "ManagedZone"):
        assert google(made, kind).inputs["labels"] == LABELS, kind
    for kind in ("Network", "Cluster", "Repository", "ManagedZone"):
        assert "stack test" in google(made, kind).inputs["description"], kind


def test_an_interrupted_up_knows_the_names_that_it_has_begun_with(graph: Callable[..., Any]):
    made = graph()
    endings = {each.urn: each.inputs["keepers"] for each in made.all("RandomId")}
    for kind, keepers in (("Cluster", {"region", "network", "subnetwork"}), ("DatabaseInstance", {"region"})):
        resource = google(made, kind)
        assert resource.inputs["name"] == "addressbook-test-0a1b2c"
        assert len(resource.inputs["name"]) - len("addressbook-test") == 7, "components/gcp/project.py counts on it"
        (ending,) = endings.keys() & set(resource.dependencies)
        assert set(endings[ending]) == keepers, "what is replaced has another name"


def test_workloads_come_after_all_they_need(graph: Callable[..., Any]):
    made = graph()
    (provider,) = made.all("kubernetes")
    needed = {
        google(made, kind).urn for kind in ("RouterNat", "IAMMember", "RepositoryIamMember", "Cluster", "Subnetwork")
    }
    assert needed <= all_before(made, provider)


def test_teardown_takes_the_server_then_the_peering_then_the_network(graph: Callable[..., Any]):
    made = graph()
    server, peering, network = (google(made, kind) for kind in ("DatabaseInstance", "Connection", "Network"))
    assert peering.urn in server.dependencies
    assert google(made, "GlobalAddress").urn in peering.dependencies
    assert network.urn in all_before(made, peering)
    assert peering.inputs["deletionPolicy"] == "REMOVE_PEERING"
    for kind in ("Database", "User"):
        assert google(made, kind).inputs["deletionPolicy"] == "ABANDON", (
            "PostgreSQL would refuse; it goes with the server"
        )


def test_the_stack_file_is_right_once_it_names_a_project(keys: Callable[..., Any], faults: Callable[..., list[str]]):
    config = yaml.safe_load((PROJECT_ROOT / "Pulumi.prod-gcp.yaml").read_text())["config"]
    values = {key.removeprefix("addressbook:"): str(value) for key, value in config.items()}
    (fault,) = faults(**values)
    assert fault.startswith("gcp:project = 'YOUR-PROJECT-ID': must be a project's id"), "or Google gets it"
    platform = keys(**{**values, PROJECT_CONFIG: "acme-prod-1"})
    assert (platform.region, platform.deletion_protection) == ("europe-west3", True)
