"""No pod belongs to two workloads, which would count and delete each other's pods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import EnforcementLevel, ReportViolation, ResourceValidationPolicy
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy.pods import kind_of
from policy.rules import Resource, at, list_at, mapping_at

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
#: Namespace of objects that name none (Kubernetes documentation, Namespaces).
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class Requirement:
    """A selector's requirement on one label.

    The value is one ``of`` these (None: any) and none of ``without``; ``present``: whether the label must exist.
    """

    of: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    present: bool | None = None

    def __and__(self, other: Requirement) -> Requirement:
        given = [each.of for each in (self, other) if each.of is not None]
        of = frozenset[str].intersection(*given) if given else None
        present = self.present if self.present is not None else other.present
        return Requirement(of, self.without | other.without, present)

    def excludes(self, other: Requirement) -> bool:
        """Return whether no label meets both."""
        if None not in (self.present, other.present) and self.present != other.present:
            return True
        both = self & other
        return both.of is not None and not both.of - both.without

    def holds(self, value: str | None) -> bool:
        """Return whether a pod meets it whose label has this value; None: it has no such label."""
        if value is None:
            return not self.present
        return self.present is not False and (self.of is None or value in self.of) and value not in self.without


def requirements(selector: Mapping[str, Any]) -> dict[str, Requirement]:
    """Return a label selector's requirements, by label. Raises UnknownValueError."""
    found: dict[str, Requirement] = defaultdict(Requirement)
    for key, value in mapping_at(selector, "matchLabels").items():
        found[key] &= Requirement(frozenset({value}), present=True)
    for expression in list_at(selector, "matchExpressions"):
        values = frozenset(list_at(expression, "values"))
        found[expression["key"]] &= {
            "In": Requirement(values, present=True),
            "NotIn": Requirement(without=values),
            "Exists": Requirement(present=True),
            "DoesNotExist": Requirement(present=False),
        }[expression["operator"]]
    return found


def disjoint(one: Mapping[str, Requirement], other: Mapping[str, Requirement]) -> bool:
    """Return whether no pod can match both selectors."""
    return any(one[key].excludes(other[key]) for key in one.keys() & other.keys())


def selects(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Return whether a label selector selects a pod with these labels. Raises UnknownValueError."""
    return all(each.holds(labels.get(key)) for key, each in requirements(selector).items())


def namespace_of(properties: Any) -> str | None:
    """Return the namespace of a Kubernetes object; None if it is not known in the preview yet."""
    try:
        return at(properties, "metadata", "namespace") or DEFAULT_NAMESPACE
    except UnknownValueError:
        return None


@dataclass(frozen=True)
class Workload:
    """An object that selects pods; ``namespace`` is None if it is not known in the preview yet."""

    name: str
    namespace: str | None
    requirements: Mapping[str, Requirement]


#: Workloads that the program has declared in this run, by cluster and URN. They are compared as they arrive: the engine
#: shows a whole stack only at the end, after an `up` has changed it.
_declared: dict[str, dict[str, Workload]] = defaultdict(dict)


def _workload(resource: Resource) -> Workload:
    selector = mapping_at(resource.props, "spec", "selector")
    return Workload(resource.name, namespace_of(resource.props), requirements(selector))


def _check_overlap(resource: Resource, report: ReportViolation) -> None:
    if kind_of(resource) not in KINDS:
        return
    mine = _workload(resource)
    beside = _declared[resource.provider.urn if resource.provider else ""]
    others = [other for urn, other in beside.items() if urn != resource.urn]
    beside[resource.urn] = mine
    overlapping = [other for other in others if not disjoint(mine.requirements, other.requirements)]
    for other in overlapping:
        if mine.namespace == other.namespace is not None:
            report(_overlap(mine, other), None)
    if any(None in (mine.namespace, other.namespace) for other in overlapping):
        raise UnknownValueError(UNKNOWN_STRING_VALUE, ["metadata", "namespace"])


def _overlap(one: Workload, other: Workload) -> str:
    labels = [", ".join(sorted(each.requirements)) or "no label" for each in (one, other)]
    return (
        f"`{one.name}` (selects by {labels[0]}) and `{other.name}` (by {labels[1]}) could select the same pod: add"
        " a label with a different value to each selector, like `track` (spec.selector.matchLabels and the template's"
        " labels)"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="disjoint-selectors",
        description="No pod can belong to two workloads of a namespace.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_check_overlap,
    ),
]
