"""Every workload has the objects that guard it: NetworkPolicies for both directions, and a PodDisruptionBudget.

The objects are recorded as the program declares them. The engine shows a whole stack only with what the cluster
answers, and before the first `up` there is no cluster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    ReportViolation,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policy.pods import POD_AT, kind_of
from policy.rules import Parts, Resource, at, is_set, list_at, mapping_at
from policy.selectors import namespace_of, selects

BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DIRECTIONS = ("Ingress", "Egress")

#: Workloads and the objects that guard them, which the program has declared in this run, by cluster and URN.
_declared: dict[str, dict[str, Resource]] = defaultdict(dict)


@dataclass(frozen=True)
class Beside:
    """A workload, and the other objects of its cluster."""

    workload: Resource
    others: Iterable[Resource]

    def guards(self, kind: str, field: str) -> Iterator[Mapping[str, Any]]:
        """Yield the spec of every object of a kind whose selector, at the field, selects the workload's pods."""
        labels = mapping_at(self.workload.props, *POD_AT[kind_of(self.workload) or ""], "metadata", "labels")
        for other in self.others:
            # A namespace that is not known yet may turn out to be the same.
            namespaces = [namespace_of(each.props) for each in (other, self.workload)]
            if other.resource_type == kind and (None in namespaces or namespaces[0] == namespaces[1]):
                spec = mapping_at(other.props, "spec")
                # Without a selector, a budget selects no pod, and a NetworkPolicy selects all.
                if kind == BUDGET and not is_set(spec, field):
                    continue
                if selects(mapping_at(spec, field), labels):
                    yield spec


def _restricted(spec: Mapping[str, Any]) -> set[str]:
    """Return the directions that a NetworkPolicy restricts; if it names none, those of the API's default."""
    return set(list_at(spec, "policyTypes")) or {"Ingress", *(["Egress"] if list_at(spec, "egress") else [])}


def _is_workload(kind: str | None) -> bool:
    return kind in POD_AT and kind != "PodTemplate"


def _check_isolation(resource: Resource, report: ReportViolation) -> None:
    beside = _declared[resource.provider.urn if resource.provider else ""]
    if _is_workload(kind_of(resource)) or resource.resource_type in (BUDGET, POLICY):
        beside[resource.urn] = resource
    if not _is_workload(kind_of(resource)):
        return
    restricted = {
        each for spec in Beside(resource, beside.values()).guards(POLICY, "podSelector") for each in _restricted(spec)
    }
    if missing := [each.lower() for each in DIRECTIONS if each not in restricted]:
        report(
            f"no NetworkPolicy for {' and '.join(missing)} is declared before this workload: add one whose podSelector"
            " matches the pods' labels, and let the workload wait for it (`depends_on`)",
            None,
        )


def _check_budgets(stack: StackValidationArgs, report: ReportViolation) -> None:
    parts = Parts()
    recorded = {urn: Beside(each, own.values()) for own in _declared.values() for urn, each in own.items()}
    deployments = [each for each in stack.resources if each.resource_type == DEPLOYMENT]
    if deployments and not recorded:
        report("budgets cannot be checked while the policy network-policy is disabled: enable it", deployments[0].urn)
    for each in deployments:
        # The engine also shows what this update is about to delete, such as a canary, and that must not stop it.
        if each.urn not in recorded:
            continue
        with parts.part():
            if not _has_budget(recorded[each.urn]):
                report(
                    f"`{each.name}` has no PodDisruptionBudget, so maintenance of the nodes may stop all its pods at"
                    " once: add one whose selector matches the pods' labels",
                    each.urn,
                )
    parts.end()


def _has_budget(beside: Beside) -> bool:
    # With one pod there is nothing to keep, and a budget could hold up a node's drain for ever.
    replicas = int(at(beside.workload.props, "spec", "replicas") or 1)
    return replicas < 2 or any(True for _ in beside.guards(BUDGET, "selector"))


POLICIES = [
    ResourceValidationPolicy(
        name="network-policy",
        description="NetworkPolicies restrict every pod in both directions before it starts.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_check_isolation,
    ),
    StackValidationPolicy(
        name="disruption-budget",
        description="Every Deployment of several pods has a PodDisruptionBudget.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_check_budgets,
    ),
]
