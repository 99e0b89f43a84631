"""The rights of the service's pods in Google Cloud."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.graphs import all_before, pod_templates

ACCOUNT = "addressbook@acme-data-1.iam.gserviceaccount.com"
CANARY = {"canaryImage": "source", "canaryReplicas": 1}


def test_pods_act_as_the_configured_account(graph: Callable[..., Any]):
    stack = graph(podAccount=ACCOUNT, **CANARY)
    account = stack.one("ServiceAccount", "pods")
    assert account.inputs["metadata"]["annotations"] == {"iam.gke.io/gcp-service-account": ACCOUNT}
    permission = stack.one("IAMMember", "pods")
    assert permission.type == "gcp:serviceaccount/iAMMember:IAMMember"
    assert permission.inputs["serviceAccountId"] == f"projects/acme-data-1/serviceAccounts/{ACCOUNT}"
    assert permission.inputs["role"] == "roles/iam.workloadIdentityUser"
    assert permission.inputs["member"] == "serviceAccount:acme-prod-1.svc.id.goog[addressbook/addressbook]"
    assert permission.urn in all_before(stack, stack.one("Deployment", "addressbook-stable"))
    assert stack.one("Namespace").urn in all_before(stack, permission), "the first cluster creates the identity pool"
    pods = dict(pod_templates(stack))
    ours = [pod for name, pod in pods.items() if name.startswith("addressbook-")]
    assert len(ours) >= 3, "stable, canary, migration"
    assert {pod["serviceAccountName"] for pod in ours} == {"addressbook"}
    assert pods["database-rights"]["serviceAccountName"] == "default", "it needs no rights at Google"
    assert not any(pod["automountServiceAccountToken"] for pod in pods.values())


def test_a_release_stack_has_an_account_of_its_own(graph: Callable[..., Any], cloud: Any):
    outputs = json.loads(json.dumps(graph().outputs))
    outputs["platform"]["access"]["cluster"] = "projects/acme-prod-1/locations/us-central1/clusters/prod"
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    release = {"platformStack": "prod", "namespace": "branch-one", "kubernetesVersion": "", "region": ""}
    stack = graph(podAccount=ACCOUNT, **release)
    member = stack.one("IAMMember", "pods").inputs["member"]
    assert member == "serviceAccount:acme-prod-1.svc.id.goog[branch-one/addressbook]"
    pod = dict(pod_templates(stack))["addressbook-stable"]
    assert pod["serviceAccountName"] == "addressbook"


def test_pods_reach_the_metadata_server_only_with_an_account(graph: Callable[..., Any]):
    def rules(**config: Any) -> list[Any]:
        return graph(**config).one("NetworkPolicy", "network-policy").inputs["spec"]["egress"]

    assert len(rules()) == 2
    *_, last = rules(podAccount=ACCOUNT)
    assert last == {
        "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}],
        "ports": [{"port": 80, "protocol": "TCP"}],
    }


@pytest.mark.parametrize("email", ["addressbook", "me@example.com", "x@acme-data-1.iam.gserviceaccount.com"])
def test_an_invalid_account_is_refused(errors: Callable[..., list[str]], email: str):
    (error,) = errors(podAccount=email)
    assert error.startswith(f"podAccount = '{email}': does not have the form")
    assert error.endswith("for example addressbook@acme-prod-1.iam.gserviceaccount.com)")
