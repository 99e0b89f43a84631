"""What the account has already: versions that run ahead, upgrades, limits, default networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.digitalocean import waiting
from components.digitalocean.live import LiveVersion
from contract.update import LEAVE_PLATFORM
from tests.unit.components.digitalocean.simulated import CLUSTER, DATABASE, answer

UPGRADES = "kubernetes cluster get-upgrades cluster-id"


def ignored(resource: Any) -> list[str]:
    return list(resource.options.ignoreChanges)


@pytest.mark.parametrize("live", ["1.34.1-do.0", "1.34.1-do.2", "1.34.5-do.0", "1.35.0-do.0"])
def test_a_cluster_that_runs_ahead_is_no_difference(graph: Callable[..., Any], account: Path, live: str):
    """A lower version would replace the cluster, so DigitalOcean's own upgrades would block every update."""
    answer(account, kubernetes_cluster_list=[{**CLUSTER, "version": live}])
    cluster = graph(kubernetesVersion="1.34.1-do.0").one("KubernetesCluster")
    assert ignored(cluster) == ["version"]


def test_a_retired_version_is_refused_for_a_new_cluster(graph: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match=r"1\.30\.1-do\.0'.*set one of 1\.35\.1-do\.0, 1\.34\.1-do\.0"):
        graph(kubernetesVersion="1.30.1-do.0")


def test_a_retired_version_is_fine_for_a_cluster_that_has_it(graph: Callable[..., Any], account: Path):
    answer(account, kubernetes_cluster_list=[{**CLUSTER, "version": "1.30.1-do.0"}])
    assert graph(kubernetesVersion="1.30.1-do.0").one("KubernetesCluster")


def test_an_upgrade_goes_one_step_at_a_time(graph: Callable[..., Any], account: Path, done: list[str]):
    offered = [{"slug": "1.34.5-do.0"}]
    answer(account, kubernetes_cluster_list=[CLUSTER], **{UPGRADES: offered})
    with pytest.raises(pulumi.RunError) as refused:
        graph(kubernetesVersion="1.35.1-do.0")
    assert "runs 1.34.1-do.0, and takes one step at a time: newest patch, then next minor version" in str(refused.value)
    assert str(refused.value).endswith("set one of 1.34.5-do.0")
    cluster = graph(kubernetesVersion="1.34.5-do.0").one("KubernetesCluster")
    assert cluster.inputs["version"] == "1.34.5-do.0"
    assert ignored(cluster) == []


def test_workloads_wait_for_the_end_of_an_upgrade(graph: Callable[..., Any], account: Path, done: list[str]):
    answer(account, kubernetes_cluster_list=[CLUSTER], **{UPGRADES: [{"slug": "1.34.5-do.0"}]})
    graph(kubernetesVersion="1.34.5-do.0")
    assert done == ["cluster-id"]
    del done[:]
    graph(kubernetesVersion="1.34.5-do.0", preview=True)
    assert done == [], "a preview changes nothing, so there is nothing to wait for"
    graph(kubernetesVersion="1.34.1-do.0")
    assert done == []


def test_an_upgrade_is_not_sent_again(graph: Callable[..., Any], account: Path):
    answer(account, kubernetes_cluster_list=[{**CLUSTER, "status": {"state": "upgrading"}}])
    with pytest.raises(pulumi.RunError, match=r"is `upgrading` with .*; run the command again once"):
        graph(kubernetesVersion="1.34.5-do.0")


def test_the_way_back_asks_for_what_runs(
    graph: Callable[..., Any], account: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
):
    """A retired version in the file, or an unfinished upgrade, does not stop a roll-back, which upgrades nothing."""
    monkeypatch.setenv(LEAVE_PLATFORM, "true")
    upgrading = {"state": "upgrading"}
    answer(
        account,
        kubernetes_cluster_list=[{**CLUSTER, "status": upgrading}],
        databases_list=[{**DATABASE, "status": "upgrading"}],
        **{UPGRADES: []},
    )
    resources = graph(kubernetesVersion="1.36.1-do.0", databaseVersion="17")
    for kind, running in (("KubernetesCluster", "1.34.1-do.0"), ("DatabaseCluster", "15")):
        resource = resources.one(kind)
        assert resource.inputs["version"] == running
        assert "version" in ignored(resource)
    assert done == [], "there is nothing to wait for"


def test_a_database_that_runs_ahead_is_no_difference(graph: Callable[..., Any], account: Path, done: list[str]):
    answer(account, databases_list=[{**DATABASE, "version": "16"}])
    assert "version" in ignored(graph(databaseVersion="15").one("DatabaseCluster"))
    upgraded = graph(databaseVersion="17")
    assert "version" not in ignored(upgraded.one("DatabaseCluster"))
    assert done == ["database-id"]
    answer(account, databases_list=[{**DATABASE, "status": "upgrading"}])
    with pytest.raises(pulumi.RunError, match="databaseVersion = '17': database addressbook-test is `upgrading`"):
        graph(databaseVersion="17")


def test_waiting_ends_with_version_and_state(graph: Callable[..., Any], account: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0)
    seen = iter(
        [
            LiveVersion("cluster-id", "1.34.1-do.0", "running"),
            LiveVersion("cluster-id", "1.34.5-do.0", "upgrading"),
            None,
            LiveVersion("cluster-id", "1.34.5-do.0", "running"),
        ]
    )
    monkeypatch.setattr("components.digitalocean.cluster.look_at_cluster", lambda _: next(seen))
    answer(account, kubernetes_cluster_list=[CLUSTER], **{UPGRADES: [{"slug": "1.34.5-do.0"}]})
    graph(kubernetesVersion="1.34.5-do.0")
    assert list(seen) == []


def test_an_account_without_room_is_refused_first(graph: Callable[..., Any], account: Path):
    answer(account, account_get={"droplet_limit": 3})
    with pytest.raises(pulumi.RunError, match="needs 4 Droplets, and the account has 0 of at most 3; ask for a higher"):
        graph()
    answer(account, account_get={"droplet_limit": 10}, compute_droplet_list=[{}, {}])
    with pytest.raises(pulumi.RunError, match="needs 9 Droplets, and the account has 2 of at most 10"):
        graph(maxNodeCount=8)
    answer(account, account_get={"droplet_limit": 3}, kubernetes_cluster_list=[CLUSTER])
    assert graph().one("KubernetesNodePool"), "it has its nodes"


@pytest.mark.parametrize(
    ("networks", "kept", "adopted"),
    [
        ([], True, ""),
        ([{"id": "theirs", "name": "default-nyc3", "region": "nyc3", "default": True}], False, ""),
        ([{"id": "theirs", "name": "default-fra1", "region": "fra1", "default": True}], True, ""),
        ([{"id": "ours", "name": "addressbook-test", "region": "nyc3", "default": True}], True, "ours"),
        ([{"id": "ours", "name": "addressbook-test", "region": "nyc3", "default": False}], False, ""),
    ],
)
def test_a_default_network_stays_and_is_taken_over(
    graph: Callable[..., Any], account: Path, networks: list[Any], kept: bool, adopted: str
):
    answer(account, vpcs_list=networks)
    options = graph().one("Vpc").options
    assert (options.retainOnDelete, options.importId) == (kept, adopted)


def test_a_failing_doctl_ends_in_one_sentence(graph: Callable[..., Any], account: Path):
    (account / "doctl").write_text('#!/bin/sh\n[ "$1" = account ] || { echo "Error: 403 no" >&2; exit 1; }; echo {}\n')
    with pytest.raises(pulumi.RunError, match="because `doctl kubernetes cluster list` fails: 403"):
        graph()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every upgrade be done at once; return the ids of what was waited for."""
    waited: list[str] = []

    def look(id: str) -> LiveVersion:
        waited.append(id)
        return LiveVersion(id, "99", "running" if id == "cluster-id" else "online")

    monkeypatch.setattr("components.digitalocean.cluster.look_at_cluster", look)
    monkeypatch.setattr("components.digitalocean.database.look_at_database", look)
    return waited
