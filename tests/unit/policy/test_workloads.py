"""Rules on pods: images, limits, probes, restricted, selectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.policy.conftest import UNKNOWN, Verdict
from tests.unit.policy.workload import DEPLOYMENT, container, deployment, pod

Judge = Callable[..., Verdict]
JOB = "kubernetes:batch/v1:Job"
OF_PODS = ("images-by-digest", "restricted-pods", "container-limits", "container-probes", "no-secrets-in-environment")


@pytest.mark.parametrize("rule", OF_PODS)
def test_a_good_workload_breaks_no_rule(judge: Judge, rule: str):
    assert judge(rule, DEPLOYMENT, deployment()) == Verdict()


@pytest.mark.parametrize(
    ("rule", "changed", "said"),
    [
        ("images-by-digest", {"image": "registry.example/addressbook:v2"}, "name it REPOSITORY@sha256:DIGEST"),
        ("images-by-digest", {"image": "registry.example/addressbook"}, "a tag can move"),
        ("images-by-digest", {"image": "registry.example/addressbook@sha256:abc"}, "stableImage"),
        ("images-by-digest", {"image": None}, "names no image"),
        ("container-limits", {"resources": None}, "resources.requests.cpu, resources.requests.memory"),
        ("container-limits", {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}, "no resources.limits.memory"),
        ("container-probes", {"readinessProbe": None}, "no readinessProbe"),
        ("container-probes", {"livenessProbe": None, "readinessProbe": None}, "no readinessProbe and no livenessProbe"),
    ],
)
def test_a_container_that_breaks_it(judge: Judge, rule: str, changed: dict[str, Any], said: str):
    verdict = judge(rule, DEPLOYMENT, deployment(pod(container(**changed))))
    assert len(verdict.messages) == 1
    assert said in str(verdict)
    assert "`service`" in str(verdict)


def test_an_image_of_others_may_be_listed_by_its_tag(judge: Judge):
    props = deployment(pod(container(image="postgres:15-bookworm")))
    assert judge("images-by-digest", DEPLOYMENT, props) == Verdict()
    assert judge("images-by-digest", DEPLOYMENT, props, config={"allowedTags": []}).messages


def test_a_listed_tag_is_spoken_of_in_production_and_stops_nothing(judge: Judge):
    job = {"spec": {"template": {"spec": pod(container(image="postgres:15-bookworm"))}}}
    verdict = judge("no-tags-in-production", JOB, job, stack="prod-gcp")
    assert len(verdict.messages) == 1
    assert "databaseClientImage" in str(verdict)
    assert judge("images-by-digest", JOB, job, stack="prod-gcp") == Verdict()
    assert judge("no-tags-in-production", JOB, job, stack="staging") == Verdict()
    assert judge("no-tags-in-production", DEPLOYMENT, deployment(), stack="prod") == Verdict()


def test_an_image_not_known_yet_is_no_matter_outside_production(judge: Judge):
    job = {"spec": {"template": {"spec": pod(container(image=UNKNOWN))}}}
    assert judge("no-tags-in-production", JOB, job) == Verdict()
    assert judge("no-tags-in-production", JOB, job, stack="prod") == Verdict(unknown=True)


@pytest.mark.parametrize("rule", ["images-by-digest", "container-limits", "restricted-pods"])
@pytest.mark.parametrize(
    ("kind", "wrapped"),
    [
        ("kubernetes:core/v1:Pod", lambda spec: {"spec": spec}),
        ("kubernetes:apps/v1:StatefulSet", lambda spec: {"spec": {"template": {"spec": spec}}}),
        ("kubernetes:apps/v1:DaemonSet", lambda spec: {"spec": {"template": {"spec": spec}}}),
        (JOB, lambda spec: {"spec": {"template": {"spec": spec}}}),
        ("kubernetes:batch/v1:CronJob", lambda spec: {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}),
    ],
)
def test_every_kind_of_workload_is_judged(judge: Judge, rule: str, kind: str, wrapped: Any):
    bad = container(image="x:latest", resources=None, securityContext={"privileged": True})
    assert judge(rule, kind, wrapped(pod(container(), bad))).messages
    assert judge(rule, kind, wrapped(pod(container(), initContainers=[bad]))).messages
    assert judge(rule, kind, wrapped(pod())) == Verdict()


def test_what_runs_to_its_end_needs_no_probes(judge: Judge):
    plain = container(readinessProbe=None, livenessProbe=None)
    job = {"spec": {"template": {"spec": pod(plain)}}}
    assert judge("container-probes", JOB, job) == Verdict()
    assert judge("container-probes", DEPLOYMENT, deployment(pod(container(), initContainers=[plain]))) == Verdict()
    assert judge("container-probes", "kubernetes:core/v1:Pod", {"spec": pod(plain, restartPolicy="Never")}) == Verdict()
    assert judge("container-probes", "kubernetes:core/v1:Pod", {"spec": pod(plain)}).messages


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"privileged": True}, "privileged"),
        ({"allowPrivilegeEscalation": None}, "allowPrivilegeEscalation"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"procMount": "Unmasked"}, "unmasks /proc"),
        ({"capabilities": {}}, "drop ALL"),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}, "NET_ADMIN"),
        ({"runAsNonRoot": False}, "runAsNonRoot"),
        ({"runAsUser": 0}, "user 0"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
        ({"appArmorProfile": {"type": "Unconfined"}}, "AppArmor"),
        ({"windowsOptions": {"hostProcess": True}}, "host process"),
    ],
)
def test_a_container_that_is_not_restricted(judge: Judge, changed: dict[str, Any], said: str):
    context = {**container()["securityContext"], **changed}
    verdict = judge("restricted-pods", DEPLOYMENT, deployment(pod(container(securityContext=context))))
    assert len(verdict.messages) == 1
    assert said in str(verdict)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hostNetwork": True, "hostPID": True}, "hostNetwork, hostPID"),
        ({"volumes": [{"name": "data", "hostPath": {"path": "/"}}]}, "hostPath"),
        ({"securityContext": {"runAsNonRoot": True}}, "seccompProfile"),
        ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, "runAsNonRoot"),
    ],
)
def test_a_pod_that_is_not_restricted(judge: Judge, changed: dict[str, Any], said: str):
    verdict = judge("restricted-pods", DEPLOYMENT, deployment(pod(**changed)))
    assert len(verdict.messages) == 1
    assert said in str(verdict)


def test_unsafe_sysctls_and_ports_of_the_node(judge: Judge):
    good = pod()["securityContext"]
    spec = pod(
        container(ports=[{"containerPort": 80, "hostPort": 80}]),
        securityContext={**good, "sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
    )
    verdict = judge("restricted-pods", DEPLOYMENT, deployment(spec))
    assert ["kernel.msgmax" in str(verdict), "port 80" in str(verdict)] == [True, True]
    assert len(verdict.messages) == 2


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        ({"pod-security.kubernetes.io/enforce": "restricted"}, 0),
        ({"pod-security.kubernetes.io/enforce": "baseline"}, 1),
        ({}, 1),
    ],
)
def test_namespaces_enforce_it(judge: Judge, labels: dict[str, str], wrong: int):
    verdict = judge("restricted-pods", "kubernetes:core/v1:Namespace", {"metadata": {"labels": labels}})
    assert len(verdict.messages) == wrong


def test_an_unknown_value_hides_nothing_but_itself(judge: Judge):
    spec = pod(container(name="first", image=UNKNOWN), container(name="second", image="x:latest"))
    verdict = judge("images-by-digest", DEPLOYMENT, deployment(spec))
    assert verdict.unknown
    assert len(verdict.messages) == 1
    assert "`second`" in str(verdict)


def test_an_unknown_pod_setting_hides_no_container(judge: Judge):
    spec = pod(container(securityContext={"privileged": True}), volumes=UNKNOWN)
    verdict = judge("restricted-pods", DEPLOYMENT, deployment(spec))
    assert verdict.unknown
    assert "privileged" in str(verdict)


def test_a_probe_that_is_unknown_is_there(judge: Judge):
    assert judge("container-probes", DEPLOYMENT, deployment(pod(container(readinessProbe=UNKNOWN)))) == Verdict()


@pytest.mark.parametrize(
    ("stack", "wrong"), [("prod", 1), ("prod-gcp", 1), ("production", 1), ("dev", 0), ("staging", 0)]
)
def test_production_builds_nothing(judge: Judge, stack: str, wrong: int):
    for kind in ("docker:index/image:Image", "docker-build:index:Image"):
        verdict = judge("pinned-in-production", kind, {"imageName": "x"}, stack=stack)
        assert len(verdict.messages) == wrong
        assert not wrong or "stableImage" in str(verdict)


Declared = tuple[str, dict[str, Any], str]


def _labelled(namespace: str = "shop", cluster: str = "one", **labels: str) -> Declared:
    return namespace, {"matchLabels": labels}, cluster


def _selecting(*expressions: dict[str, Any], namespace: str = "shop", cluster: str = "one") -> Declared:
    return namespace, {"matchExpressions": list(expressions)}, cluster


STABLE = {"key": "track", "operator": "In", "values": ["stable"]}
NOT_STABLE = {"key": "track", "operator": "NotIn", "values": ["stable"]}
ANY_TRACK = {"key": "track", "operator": "Exists"}
NO_TRACK = {"key": "track", "operator": "DoesNotExist"}


@pytest.fixture
def declare_all(judge: Judge) -> Callable[..., list[Verdict]]:
    """Declare workloads one after the other, in one run."""

    def ask(*declared: Declared) -> list[Verdict]:
        return [
            judge(
                "disjoint-selectors",
                DEPLOYMENT,
                {"metadata": {"namespace": namespace}, "spec": {"selector": selector}},
                name=f"workload-{number}",
                made_by=cluster,
            )
            for number, (namespace, selector, cluster) in enumerate(declared)
        ]

    return ask


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        (_labelled(app="a", track="stable"), _labelled(app="a", track="canary"), False),
        (_labelled(app="a"), _labelled(app="a"), True),
        # The book's: one selects what the other does, and more.
        (_labelled(app="a"), _labelled(app="a", track="canary"), True),
        (_labelled(app="a"), _labelled(tier="b"), True),
        (_selecting(STABLE), _selecting(NOT_STABLE), False),
        (_selecting(ANY_TRACK), _selecting(NO_TRACK), False),
        (_selecting(ANY_TRACK), _selecting(NOT_STABLE), True),
        (_selecting(STABLE), _selecting(NO_TRACK), False),
        (_selecting(STABLE, NOT_STABLE), _selecting(ANY_TRACK), False),
        (_selecting(STABLE), _selecting(STABLE, namespace="another"), False),
        (_selecting(STABLE), _selecting(STABLE, cluster="two"), False),
    ],
)
def test_no_pod_belongs_to_two_workloads(
    declare_all: Callable[..., list[Verdict]], one: Declared, other: Declared, overlaps: bool
):
    first, second = declare_all(one, other)
    assert first == Verdict()
    assert len(second.messages) == (1 if overlaps else 0)
    assert not overlaps or "as `track` is" in str(second)


def test_a_workload_does_not_overlap_itself(judge: Judge, declare_all: Callable[..., list[Verdict]]):
    declare_all(_labelled(app="a"))
    assert declare_all(_labelled(app="a")) == [Verdict()]


def test_selectors_and_namespaces_that_are_unknown(declare_all: Callable[..., list[Verdict]]):
    unknown, second, third = declare_all(("shop", UNKNOWN, "one"), _labelled(app="a"), _labelled(app="a"))
    assert unknown.unknown
    assert second == Verdict()
    assert len(third.messages) == 1
    elsewhere, overlapping, disjoint = declare_all(
        _labelled(namespace=UNKNOWN, cluster="new", app="a"),
        _labelled(namespace=UNKNOWN, cluster="new", app="a"),
        _labelled(namespace=UNKNOWN, cluster="new", app="b"),
    )
    assert elsewhere == Verdict()
    assert overlapping == Verdict(unknown=True)
    assert disjoint == Verdict()
