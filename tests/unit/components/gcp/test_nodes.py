"""The nodes' service account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.gcp.nodes import account_id
from tests.unit.components.gcp.simulated import google


def test_nodes_have_their_own_account_with_minimum_rights(graph: Callable[..., Any]):
    stack = graph()
    defaults = google(stack, "Cluster").inputs["clusterAutoscaling"]["autoProvisioningDefaults"]
    assert defaults["serviceAccount"] == "nodes@acme-prod-1.iam.gserviceaccount.com"
    role, pull = google(stack, "IAMMember"), google(stack, "RepositoryIamMember")
    assert role.inputs["project"] == "acme-prod-1"
    assert role.inputs["role"] == "roles/container.defaultNodeServiceAccount"
    assert (pull.inputs["repository"], pull.inputs["role"]) == ("addressbook-test", "roles/artifactregistry.reader")
    assert role.inputs["member"] == pull.inputs["member"] == "serviceAccount:nodes@acme-prod-1.iam.gserviceaccount.com"
    assert {role.urn, pull.urn} <= set(google(stack, "Cluster").dependencies)


def test_account_ids_are_short_and_unique():
    short_name, long_name = "addressbook-test", "addressbook-a-very-long-stack-name"
    for name in (short_name, long_name):
        assert 6 <= len(account_id(name)) <= 30
    assert account_id(long_name) != account_id(f"{long_name}-2")
    assert account_id(short_name) == account_id(short_name)
