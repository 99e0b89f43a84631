"""What `diagnose` makes of ReplicaSets, Jobs, Deployments, Services and claims."""

from __future__ import annotations

from typing import Any

import pytest

from promotion.diagnosis.diagnose import Finding, examine
from tests.unit.promotion.namespace import (
    IMAGE,
    JUST_NOW,
    RUNNING,
    Told,
    ended,
    event,
    meta,
    pod,
    snapshot,
)


def only(told: Told | None = None, **parts: Any) -> Finding:
    (found,) = examine(snapshot(**parts), told or Told())
    return found


def replica_set(said: str = "", created: str | None = None) -> dict[str, Any]:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": said}] if said else []
    metadata = meta("shop-canary-1", **({"created": created} if created else {}))
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {"replicas": 0, "conditions": conditions}}


@pytest.mark.parametrize(
    ("said", "cause", "words"),
    [
        (
            'pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2',
            "quota",
            "pods=1 asked, pods=2 used of pods=2",
        ),
        ("failed quota: small: must specify limits.cpu for: main", "quota", "must specify limits.cpu"),
        (
            'pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged (container "main" must not)',
            "pod-security",
            "restricted:latest",
        ),
        ('error looking up service account ns/x: serviceaccount "x" not found', "missing-service-account", "x"),
        (
            'pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
            "limit-range",
            "is 1Gi, but limit is 2Gi",
        ),
        ('admission webhook "signed.example" denied the request: no', "admission-webhook", "signed.example"),
        ('failed calling webhook "signed.example": connection refused', "admission-webhook", "signed.example"),
        ("something new", "pods-refused", "refuses"),
    ],
)
def test_pods_whose_creation_is_refused(said: str, cause: str, words: str):
    found = only(replica_sets=[replica_set(said)])
    assert (found.cause, found.objects) == (cause, ("ReplicaSet shop-canary-1",))
    assert words in found.what


def test_a_refusal_known_by_its_event_alone():
    own = replica_set()
    found = only(replica_sets=[own], events=[event(own, "FailedCreate", 'serviceaccount "x" not found')])
    assert found.cause == "missing-service-account"


def test_pods_that_nobody_makes():
    assert only(replica_sets=[replica_set()]).cause == "pods-not-made"
    assert examine(snapshot(replica_sets=[replica_set(created=JUST_NOW)]), Told()) == []


def job(*conditions: dict[str, str], failed: int = 1, **spec: Any) -> dict[str, Any]:
    metadata = meta("shop-migrate-abcdef-1", app="shop-migrate")
    return {"metadata": metadata, "spec": spec, "status": {"failed": failed, "conditions": list(conditions)}}


GIVEN_UP = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "backoff limit"}
TOO_LATE = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "deadline"}


def attempt(end: Any) -> dict[str, Any]:
    metadata = meta("shop-migrate-abcdef-1-a", owner="uid of shop-migrate-abcdef-1", app="shop-migrate")
    return pod("shop-migrate-abcdef-1-a", state={"terminated": end}, phase="Failed", metadata=metadata)


def test_a_failed_migration_with_its_log_and_once():
    told = Told({"shop-migrate-abcdef-1-a": ['relation "persons" already exists']})
    found = only(told, jobs=[job(GIVEN_UP)], pods=[attempt(ended(1))])
    assert (found.cause, found.objects) == ("failed-migration", ("Job shop-migrate-abcdef-1",))
    assert found.log == ('relation "persons" already exists',)
    assert "exit code 1" in found.what


def test_a_migration_that_is_tried_again_is_told_already():
    assert only(jobs=[job()], pods=[attempt(ended(1))]).cause == "failed-migration"


@pytest.mark.parametrize(
    ("end", "line", "cause"),
    [
        (ended(1), "The database refuses connections: nothing listens on its port.", "database-unreachable"),
        (ended(137, "OOMKilled"), "", "out-of-memory"),
        (ended(128, "StartError", message='exec: "migrate": executable file not found'), "", "wrong-command"),
    ],
)
def test_a_migration_that_fails_for_a_reason_of_its_own(end: Any, line: str, cause: str):
    told = Told({"shop-migrate-abcdef-1-a": [line]})
    assert only(told, jobs=[job(GIVEN_UP)], pods=[attempt(end)]).cause == cause


def test_a_migration_whose_pods_are_gone_is_known_by_their_events():
    gone = {"metadata": {"uid": "gone", "name": "shop-migrate-abcdef-1-a"}}
    said = f'Failed to pull image "{IMAGE}": not found'
    assert only(jobs=[job(TOO_LATE)], events=[event(gone, "Failed", said)]).cause == "image-not-found"
    assert only(jobs=[job(TOO_LATE, activeDeadlineSeconds=60)]).what.endswith("did not end within 60 s")


def test_a_migration_that_succeeded_in_the_end_is_well():
    done = job(failed=1)
    done["status"]["succeeded"] = 1
    assert examine(snapshot(jobs=[done], pods=[attempt(ended(1))]), Told()) == []


def deployment(**spec: Any) -> dict[str, Any]:
    stuck = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}]
    conditions = stuck if not spec else []
    return {"metadata": meta("shop-canary"), "spec": {"replicas": 1, **spec}, "status": {"conditions": conditions}}


def test_rollouts_that_stand_still():
    assert only(deployments=[deployment()]).cause == "rollout-stuck"
    assert only(deployments=[deployment(paused=True)]).cause == "rollout-paused"
    assert only(deployments=[deployment(replicas=0)]).cause == "scaled-to-zero"


def test_a_rollout_that_a_pod_explains_is_told_once():
    ill = pod("shop-canary-1-a", state={"waiting": {"reason": "ErrImagePull", "message": "not found"}})
    assert only(deployments=[deployment()], pods=[ill]).cause == "image-not-found"


def service(name: str = "shop-lb", **spec: Any) -> dict[str, Any]:
    own = {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    return {"metadata": meta(name, track=None), "spec": own, "status": {}}


def endpoints(ready: bool = True, ports: Any = ({"port": 3000},)) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "shop-lb"}
    return {
        "metadata": {"name": "slice", "labels": labels},
        "endpoints": [{"conditions": {"ready": ready}}],
        "ports": list(ports),
    }


def test_services_that_reach_nobody():
    well, ill = pod("a", state=RUNNING, ready=True), pod("b", state=RUNNING, metadata=meta("b", created=JUST_NOW))
    assert examine(snapshot(services=[service()], endpoint_slices=[endpoints()], pods=[well]), Told()) == []
    assert only(services=[service()]).cause == "no-endpoints"
    found = only(services=[service()], endpoint_slices=[endpoints(ready=False)], pods=[ill])
    assert found.cause == "no-ready-endpoints"
    found = only(services=[service()], endpoint_slices=[endpoints(ports=())], pods=[well])
    assert found.cause == "service-port"
    assert "port http" in found.what


def test_a_service_without_a_selector_is_somebody_elses():
    assert examine(snapshot(services=[service(selector=None)]), Told()) == []


def balancer(**spec: Any) -> dict[str, Any]:
    return {"services": [service(type="LoadBalancer", **spec)], "endpoint_slices": [endpoints()]}


def test_load_balancers_without_an_address():
    assert "loadBalancerClass x" in only(**balancer(loadBalancerClass="x")).what
    own = balancer()
    warned = event(own["services"][0], "SyncLoadBalancerFailed", "quota exceeded")
    assert "quota exceeded" in only(**own, events=[warned]).evidence[0]
    own["services"][0]["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    assert examine(snapshot(**own), Told()) == []


def claim(phase: str = "Pending", storage_class: str | None = "fast") -> dict[str, Any]:
    spec = {"storageClassName": storage_class} if storage_class else {}
    return {"metadata": meta("data", track=None), "spec": spec, "status": {"phase": phase}}


def test_claims_that_wait_with_the_pods_that_wait_for_them():
    own = claim()
    absent = event(own, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
    said = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    found = only(claims=[own], events=[absent], pods=[pod("a", scheduled=said, phase="Pending", volumes=volumes)])
    assert found.objects == ("PersistentVolumeClaim data", "Pod a")
    assert "storage class fast" in found.what


def test_claims_of_every_kind():
    assert only(claims=[claim(storage_class=None)]).what.endswith("the cluster has no default one")
    assert only(claims=[claim("Lost")]).cause == "volume-lost"
    assert examine(snapshot(claims=[claim("Bound")]), Told()) == []
    own = claim()
    waits = event(own, "WaitForFirstConsumer", "waiting for first consumer", "Normal")
    assert examine(snapshot(claims=[own], events=[waits]), Told()) == []
