"""Every workload has the objects that guard it: a PodDisruptionBudget, and NetworkPolicies for both directions.

These rules need the whole stack, which `up` has only at its end. They work because a preview comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyResource, ReportViolation, StackValidationArgs, StackValidationPolicy

from policy.pods import POD_AT, kind_of
from policy.rules import Parts, at, list_at, mapping_at
from policy.selectors import namespace_of, selects

BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
DIRECTIONS = ("Ingress", "Egress")


def _same_place(one: PolicyResource, other: PolicyResource) -> bool:
    """Return whether two objects are, or may turn out to be, in one namespace of one cluster."""
    clusters = [each.provider.urn if each.provider else "" for each in (one, other)]
    namespaces = [namespace_of(each.props) for each in (one, other)]
    return clusters[0] == clusters[1] and (None in namespaces or namespaces[0] == namespaces[1])


def _guards(stack: StackValidationArgs, guarded: PolicyResource, kind: str, field: str) -> Iterator[Any]:
    """Yield the spec of every object of a kind that selects the workload's pods."""
    labels = mapping_at(guarded.props, *POD_AT[kind_of(guarded) or ""], "metadata", "labels")
    for each in stack.resources:
        if each.resource_type == kind and _same_place(each, guarded):
            spec = mapping_at(each.props, "spec")
            if selects(mapping_at(spec, field), labels):
                yield spec


def _directions(spec: Any) -> set[str]:
    """Return the directions that a NetworkPolicy restricts; if it names none, those of the API's default."""
    return set(list_at(spec, "policyTypes")) or {"Ingress", *(["Egress"] if list_at(spec, "egress") else [])}


def _budgeted(stack: StackValidationArgs, workload: PolicyResource) -> str | None:
    # With one pod there is nothing to keep, and a budget could hold up a node's drain for ever.
    single = int(at(workload.props, "spec", "replicas") or 1) < 2
    if kind_of(workload) != "Deployment" or single or any(_guards(stack, workload, BUDGET, "selector")):
        return None
    return (
        f"`{workload.name}` has no PodDisruptionBudget, so maintenance of the nodes may stop all its pods at once: add"
        " one whose selector matches the pods' labels"
    )


def _isolated(stack: StackValidationArgs, workload: PolicyResource) -> str | None:
    restricted = {each for spec in _guards(stack, workload, POLICY, "podSelector") for each in _directions(spec)}
    missing = [each for each in DIRECTIONS if each not in restricted]
    if not missing:
        return None
    return (
        f"`{workload.name}` has no NetworkPolicy for {' and '.join(missing).lower()}, so anything in the cluster, or"
        " anything in the world, is open to it: add one whose podSelector matches the pods' labels"
    )


def _each_workload(
    rule: Callable[[StackValidationArgs, PolicyResource], str | None],
) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(stack: StackValidationArgs, report: ReportViolation) -> None:
        parts = Parts()
        for workload in stack.resources:
            if (kind_of(workload) or "") in POD_AT:
                with parts.part():
                    if wrong := rule(stack, workload):
                        report(wrong, workload.urn)
        parts.end()

    return validate


POLICIES = [
    StackValidationPolicy(
        name="disruption-budget",
        description="Every Deployment of several pods has a PodDisruptionBudget.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_each_workload(_budgeted),
    ),
    StackValidationPolicy(
        name="network-policy",
        description="NetworkPolicies restrict every pod in both directions.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_each_workload(_isolated),
    ),
]
