"""No pod belongs to two workloads: each would count, and delete, the other's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import EnforcementLevel, ReportViolation, ResourceValidationPolicy
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy.judging import Resource, at, list_at, mapping_at
from policy.pods import kind_of

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
#: Where an object goes that names no namespace (Kubernetes documentation, Namespaces).
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class Demand:
    """What a selector asks of one label: a value ``among`` these (None: any), none of ``without``, there or not."""

    among: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    there: bool | None = None

    def __and__(self, other: Demand) -> Demand:
        given = [each.among for each in (self, other) if each.among is not None]
        among = frozenset[str].intersection(*given) if given else None
        there = self.there if self.there is not None else other.there
        return Demand(among, self.without | other.without, there)

    def excludes(self, other: Demand) -> bool:
        """Whether no label meets both."""
        if None not in (self.there, other.there) and self.there != other.there:
            return True
        both = self & other
        return both.among is not None and not both.among - both.without


def demands(selector: Mapping[str, Any]) -> dict[str, Demand]:
    """A label selector's demands, by label. Raises UnknownValueError."""
    found: dict[str, Demand] = defaultdict(Demand)
    for key, value in mapping_at(selector, "matchLabels").items():
        found[key] &= Demand(frozenset({value}), there=True)
    for expression in list_at(selector, "matchExpressions"):
        values = frozenset(list_at(expression, "values"))
        found[expression["key"]] &= {
            "In": Demand(values, there=True),
            "NotIn": Demand(without=values),
            "Exists": Demand(there=True),
            "DoesNotExist": Demand(there=False),
        }[expression["operator"]]
    return found


def disjoint(one: Mapping[str, Demand], other: Mapping[str, Demand]) -> bool:
    """Whether no pod meets both selectors, whatever labels it has."""
    return any(one[key].excludes(other[key]) for key in one.keys() & other.keys())


@dataclass(frozen=True)
class Workload:
    """What selects pods; ``namespace`` is None where a preview can't know it yet."""

    name: str
    namespace: str | None
    demands: Mapping[str, Demand]


#: The workloads that the program has declared in this run so far, by cluster and URN. Judged against each other as they
#: come, from what the program says: the engine shows a whole stack only at its end, when an `up` has changed it.
_declared: dict[str, dict[str, Workload]] = defaultdict(dict)


def _workload(resource: Resource) -> Workload:
    try:
        namespace = at(resource.props, "metadata", "namespace") or DEFAULT_NAMESPACE
    except UnknownValueError:
        namespace = None
    return Workload(resource.name, namespace, demands(mapping_at(resource.props, "spec", "selector")))


def _judge(resource: Resource, report: ReportViolation) -> None:
    if kind_of(resource) not in KINDS:
        return
    mine = _workload(resource)
    beside = _declared[resource.provider.urn if resource.provider else ""]
    others = [other for urn, other in beside.items() if urn != resource.urn]
    beside[resource.urn] = mine
    overlapping = [other for other in others if not disjoint(mine.demands, other.demands)]
    for other in overlapping:
        if mine.namespace == other.namespace is not None:
            report(_overlap(mine, other), None)
    if any(None in (mine.namespace, other.namespace) for other in overlapping):
        raise UnknownValueError(UNKNOWN_STRING_VALUE, ["metadata", "namespace"])


def _overlap(one: Workload, other: Workload) -> str:
    labels = [", ".join(sorted(each.demands)) or "nothing" for each in (one, other)]
    return (
        f"`{one.name}` (selects by {labels[0]}) and `{other.name}` (by {labels[1]}) could both select a pod: let both"
        " select by one more label, with a value of its own for each, as `track` is (spec.selector.matchLabels and the"
        " template's labels)"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="disjoint-selectors",
        description="No pod can belong to two workloads of a namespace.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_judge,
    ),
]
