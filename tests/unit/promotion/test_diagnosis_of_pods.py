"""What `diagnose` makes of pods whose containers never began; the messages are those of a real cluster."""

from __future__ import annotations

import pytest

from promotion.diagnosis.diagnose import examine
from tests.unit.promotion.namespace import JUST_NOW, RUNNING, Told, event, meta, only, pod, snapshot, waiting


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("0/1 nodes are available: 1 Insufficient memory.", "no-memory"),
        ("0/1 nodes are available: 1 Insufficient cpu.", "no-cpu"),
        ("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", "no-resources"),
        ("0/1 nodes are available: 1 Too many pods.", "no-resources"),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.", "node-taint"),
        ("0/1 nodes are available: 1 node(s) had untolerated taint(s).", "node-taint"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", "node-selector"),
        ("0/1 nodes are available: 1 node(s) were unschedulable.", "node-cordoned"),
        ("0/1 nodes are available: 1 node(s) had volume node affinity conflict.", "volume-elsewhere"),
        ('0/1 nodes are available: persistentvolumeclaim "data" not found.', "volume-claim-missing"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "volume-claim-pending"),
        ("no nodes available to schedule pods", "no-nodes"),
        ("0/1 nodes are available: something new", "unschedulable"),
    ],
)
def test_pods_that_no_node_takes(said: str, cause: str):
    found = only(pod("shop-canary-1-a", scheduled=said, phase="Pending"))
    assert (found.cause, found.evidence) == (cause, (said,))


def test_what_was_asked_and_what_there_is():
    asks = {"resources": {"requests": {"memory": "4Gi"}}}
    beside = pod("other", ready=True, container={"resources": {"requests": {"memory": "1Gi"}}}, nodeName="one")
    done = pod("done", phase="Succeeded", container={"resources": {"requests": {"memory": "1Gi"}}}, nodeName="one")
    node = {"metadata": {"name": "one"}, "status": {"allocatable": {"memory": "3Gi", "cpu": "2"}}}
    broken = pod("shop-canary-1-a", scheduled="0/1: 1 Insufficient memory.", phase="Pending", container=asks)
    found = only(broken, nodes=[node], pods_everywhere=[beside, done])
    assert "asks for 4.0 GiB of memory" in found.what
    assert "the emptiest has 2.0 GiB left of 3.0 GiB" in found.what


def test_a_node_that_does_not_answer():
    node = {
        "metadata": {"name": "one"},
        "status": {"allocatable": {}, "conditions": [{"type": "Ready", "status": "Unknown"}]},
    }
    assert only(pod("a", state=RUNNING, nodeName="one"), nodes=[node]).cause == "node-not-ready"


@pytest.mark.parametrize(
    ("reason", "said", "cause"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "x" : secret "certificate" not found', "missing-secret"),
        ("FailedMount", "MountVolume.SetUp failed: references non-existent secret key: a", "missing-secret-key"),
        ("FailedAttachVolume", "Multi-Attach error for volume", "volume-mount"),
        ("FailedCreatePodSandBox", "failed to setup network for sandbox", "pod-network"),
    ],
)
def test_pods_that_cannot_be_set_up(reason: str, said: str, cause: str):
    broken = pod("shop-canary-1-a", state=waiting("ContainerCreating"), phase="Pending")
    assert only(broken, events=[event(broken, reason, said)]).cause == cause


def test_a_pod_that_has_just_come_is_given_time():
    fresh = meta("a", owner="shop-canary-1", created=JUST_NOW)
    assert examine(snapshot(pods=[pod("a", state=waiting("ContainerCreating"), metadata=fresh)]), Told()) == []


def test_a_pod_that_nothing_explains_is_told_with_what_there_is():
    found = only(pod("a", state=waiting("ContainerCreating"), phase="Pending"))
    assert found.cause == "not-ready"
    assert "Ready is False" in found.evidence[0]
