"""Who administers the cluster, whoever created it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.aws.account import caller_identity
from tests.unit.components.aws.simulated import ADMINISTRATOR, CALLER, EKS, SESSION, TAGS, VIEWER, runs, sign_in

#: A role of IAM Identity Center has a path, which a session's ARN leaves out.
SSO = "role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Admin_0123456789abcdef"


def principals(stack: Any, policy: str) -> list[str]:
    """Return who has the access policy."""
    associations = [each.inputs for each in stack.all("AccessPolicyAssociation")]
    assert {each["principalArn"] for each in associations} == {
        each.inputs["principalArn"] for each in stack.all("AccessEntry")
    }
    assert all(each["accessScope"] == {"type": "cluster"} for each in associations)
    suffix = f"/AmazonEKS{policy}Policy"
    return sorted(each["principalArn"] for each in associations if each["policyArn"].endswith(suffix))


def test_the_caller_administers_by_default(graph: Callable[..., Any]):
    stack = graph()
    assert principals(stack, "ClusterAdmin") == [CALLER]
    access = stack.one(EKS).inputs["accessConfig"]
    assert access["bootstrapClusterCreatorAdminPermissions"] is False, "else it depends on who ran first"


def test_the_list_alone_decides_who_administers(graph: Callable[..., Any]):
    stack = graph(clusterAdministrators=[ADMINISTRATOR, CALLER], clusterViewers=[VIEWER])
    assert principals(stack, "ClusterAdmin") == [ADMINISTRATOR, CALLER]
    assert principals(stack, "AdminView") == [VIEWER]


def test_a_caller_without_access_is_refused_first(graph: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match=f"clusterAdministrators: does not include {CALLER}, .*; add it"):
        graph(clusterAdministrators=[ADMINISTRATOR])
    assert graph(clusterAdministrators=[ADMINISTRATOR], clusterViewers=[CALLER])


def test_a_session_is_traced_to_its_role_with_path(graph: Callable[..., Any], cloud: Any, account: Path):
    sign_in(account, "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/ada@example.org")
    cloud.functions[SESSION] = lambda args: {**args, "issuerArn": f"arn:aws:iam::123456789012:{SSO}", "id": "x"}
    assert principals(graph(), "ClusterAdmin") == [f"arn:aws:iam::123456789012:{SSO}"]
    caller_identity.cache_clear()
    sign_in(account, "arn:aws:iam::123456789012:root")
    with pytest.raises(pulumi.RunError, match="credentials: they belong to arn:aws:iam::123456789012:root"):
        graph()


def test_an_older_cluster_keeps_its_creators_access(graph: Callable[..., Any], cloud: Any):
    cloud.functions.update(runs(cluster="1.34", entries={CALLER: {}}))
    stack = graph()
    assert not stack.all("AccessEntry"), "EKS refuses a second entry of the creator"
    assert "accessConfig.bootstrapClusterCreatorAdminPermissions" in stack.one(EKS).options.ignoreChanges, (
        "a change would replace the cluster"
    )
    assert principals(graph(clusterAdministrators=[ADMINISTRATOR]), "ClusterAdmin") == [ADMINISTRATOR]


def test_the_stacks_own_entry_stays_declared(graph: Callable[..., Any], cloud: Any):
    cloud.functions.update(runs(cluster="1.34", entries={CALLER: TAGS}))
    assert principals(graph(), "ClusterAdmin") == [CALLER]
    with pytest.raises(pulumi.RunError, match="clusterAdministrators: does not include"):
        graph(clusterAdministrators=[ADMINISTRATOR])
    cloud.functions.update(runs(cluster="1.34"))
    assert principals(graph(), "ClusterAdmin") == [CALLER], "another caller gets an entry"


def test_who_moves_to_the_other_list_keeps_the_entry(graph: Callable[..., Any]):
    """EKS refuses a second entry of a principal, and would be asked for one before the first is deleted."""
    before = graph(clusterAdministrators=[CALLER, VIEWER], clusterViewers=[ADMINISTRATOR])
    after = graph(clusterAdministrators=[CALLER, ADMINISTRATOR], clusterViewers=[VIEWER])
    for kind in ("AccessEntry", "AccessPolicyAssociation"):
        former = {each.inputs["principalArn"]: each.name for each in before.all(kind)}
        for each in after.all(kind):
            known_as = {each.name, *(alias.spec.name for alias in each.options.aliases)}
            assert former[each.inputs["principalArn"]] in known_as
