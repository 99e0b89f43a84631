"""Policies for pods: images, limits, probes, pod security, selectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.policy.conftest import Verdict
from tests.unit.policy.unknown import UNKNOWN
from tests.unit.policy.workload import DEPLOYMENT, container, deployment, pod

Check = Callable[..., Verdict]
JOB = "kubernetes:batch/v1:Job"
OF_PODS = ("images-by-digest", "restricted-pods", "container-limits", "container-probes", "no-secrets-in-environment")


@pytest.mark.parametrize("rule", OF_PODS)
def test_good_workload_passes(check: Check, rule: str):
    assert check(rule, DEPLOYMENT, deployment()) == Verdict()


def test_allowed_tags_pass(check: Check):
    props = deployment(pod(container(image="postgres:15-bookworm")))
    assert check("images-by-digest", DEPLOYMENT, props) == Verdict()
    assert check("images-by-digest", DEPLOYMENT, props, config={"allowedTags": []}).messages


def test_allowed_tags_get_advice_in_production(check: Check):
    job = {"spec": {"template": {"spec": pod(container(image="postgres:15-bookworm"))}}}
    verdict = check("no-tags-in-production", JOB, job, stack="prod-gcp")
    assert len(verdict.messages) == 1
    assert "databaseClientImage" in str(verdict)
    assert check("images-by-digest", JOB, job, stack="prod-gcp") == Verdict()
    assert check("no-tags-in-production", JOB, job, stack="staging") == Verdict()
    assert check("no-tags-in-production", DEPLOYMENT, deployment(), stack="prod") == Verdict()


def test_unknown_image_passes_outside_production(check: Check):
    job = {"spec": {"template": {"spec": pod(container(image=UNKNOWN))}}}
    assert check("no-tags-in-production", JOB, job) == Verdict()
    assert check("no-tags-in-production", JOB, job, stack="prod") == Verdict(unknown=True)


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
def test_every_kind_of_workload_is_checked(check: Check, rule: str, kind: str, wrapped: Any):
    bad = container(image="x:latest", resources=None, securityContext={"privileged": True})
    assert check(rule, kind, wrapped(pod(container(), bad))).messages
    assert check(rule, kind, wrapped(pod(container(), initContainers=[bad]))).messages
    assert check(rule, kind, wrapped(pod())) == Verdict()


def test_jobs_need_no_probes(check: Check):
    plain = container(readinessProbe=None, livenessProbe=None)
    job = {"spec": {"template": {"spec": pod(plain)}}}
    assert check("container-probes", JOB, job) == Verdict()
    assert check("container-probes", DEPLOYMENT, deployment(pod(container(), initContainers=[plain]))) == Verdict()
    assert check("container-probes", "kubernetes:core/v1:Pod", {"spec": pod(plain, restartPolicy="Never")}) == Verdict()
    assert check("container-probes", "kubernetes:core/v1:Pod", {"spec": pod(plain)}).messages


def test_unknown_value_hides_only_itself(check: Check):
    spec = pod(container(name="first", image=UNKNOWN), container(name="second", image="x:latest"))
    verdict = check("images-by-digest", DEPLOYMENT, deployment(spec))
    assert verdict.unknown
    assert len(verdict.messages) == 1
    assert "`second`" in str(verdict)


def test_unknown_pod_setting_hides_no_container(check: Check):
    spec = pod(container(securityContext={"privileged": True}), volumes=UNKNOWN)
    verdict = check("restricted-pods", DEPLOYMENT, deployment(spec))
    assert verdict.unknown
    assert "privileged" in str(verdict)


def test_unknown_probe_counts_as_set(check: Check):
    assert check("container-probes", DEPLOYMENT, deployment(pod(container(readinessProbe=UNKNOWN)))) == Verdict()


@pytest.mark.parametrize(
    ("stack", "wrong"), [("prod", 1), ("prod-gcp", 1), ("production", 1), ("dev", 0), ("staging", 0)]
)
def test_production_builds_no_images(check: Check, stack: str, wrong: int):
    for kind in ("docker:index/image:Image", "docker-build:index:Image"):
        verdict = check("pinned-in-production", kind, {"imageName": "x"}, stack=stack)
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
def declare_all(check: Check) -> Callable[..., list[Verdict]]:
    """Declare workloads one after another, in one run."""

    def run(*declared: Declared) -> list[Verdict]:
        return [
            check(
                "disjoint-selectors",
                DEPLOYMENT,
                {"metadata": {"namespace": namespace}, "spec": {"selector": selector}},
                name=f"workload-{number}",
                made_by=cluster,
            )
            for number, (namespace, selector, cluster) in enumerate(declared)
        ]

    return run


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        (_labelled(app="a", track="stable"), _labelled(app="a", track="canary"), False),
        (_labelled(app="a"), _labelled(app="a"), True),
        # One selector matches everything that the other does, and more.
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
def test_overlapping_selectors_are_refused(
    declare_all: Callable[..., list[Verdict]], one: Declared, other: Declared, overlaps: bool
):
    first, second = declare_all(one, other)
    assert first == Verdict()
    assert len(second.messages) == (1 if overlaps else 0)
    assert not overlaps or "like `track`" in str(second)


def test_workload_does_not_overlap_itself(check: Check, declare_all: Callable[..., list[Verdict]]):
    declare_all(_labelled(app="a"))
    assert declare_all(_labelled(app="a")) == [Verdict()]


def test_unknown_selectors_and_namespaces(declare_all: Callable[..., list[Verdict]]):
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
