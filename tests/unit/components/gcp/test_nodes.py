"""The nodes' service account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.gcp.nodes import account_id
from tests.unit.components.gcp.simulated import google


def test_nodes_have_an_account_of_their_own_with_the_least_rights(graph: Callable[..., Any]):
    made = graph()
    defaults = google(made, "Cluster").inputs["clusterAutoscaling"]["autoProvisioningDefaults"]
    assert defaults["serviceAccount"] == "nodes@acme-prod-1.iam.gserviceaccount.com"
    role, pull = google(made, "IAMMember"), google(made, "RepositoryIamMember")
    assert role.inputs["project"] == "acme-prod-1"
    assert role.inputs["role"] == "roles/container.defaultNodeServiceAccount"
    assert (pull.inputs["repository"], pull.inputs["role"]) == ("addressbook-test", "roles/artifactregistry.reader")
    assert role.inputs["member"] == pull.inputs["member"] == "serviceAccount:nodes@acme-prod-1.iam.gserviceaccount.com"
    assert {role.urn, pull.urn} <= set(google(made, "Cluster").dependencies)


def test_account_ids_fit_and_stay_apart():
    short_name, long_name = "addressbook-test", "addressbook-a-very-long-stack-name"
    for name in (short_name, long_name):
        assert 6 <= len(account_id(name)) <= 30
    assert account_id(long_name) != account_id(f"{long_name}-2")
    assert account_id(short_name) == account_id(short_name)
