"""Rights in the cluster, and the objects that every workload needs beside it."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.rows import Row, StackResource, StackRow
from tests.unit.policy.unknown import UNKNOWN
from tests.unit.policy.workload import DEPLOYMENT, deployment, pod

RBAC = "kubernetes:rbac.authorization.k8s.io/v1:"
BUDGET, POLICY = "kubernetes:policy/v1:PodDisruptionBudget", "kubernetes:networking.k8s.io/v1:NetworkPolicy"
STATEFUL_SET, JOB = "kubernetes:apps/v1:StatefulSet", "kubernetes:batch/v1:Job"


def _role(**changed: list[str]) -> dict[str, Any]:
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}
    return {"rules": [rule, {**rule, **changed}]}


def _binding(role: str = "reader", kind: str = "ServiceAccount", name: str = "app") -> dict[str, Any]:
    return {"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": kind, "name": name}]}


RIGHTS = [
    Row("named-rights", f"{RBAC}{kind}", accepted, refused, message)
    for kind, accepted, refused, message in (
        ("Role", _role(), _role(verbs=["*"]), "verbs *"),
        ("ClusterRole", _role(verbs=["watch"]), _role(verbs=["get", "*"]), "verbs *"),
        ("ClusterRole", _role(resources=["pods/log"]), _role(resources=["*"]), "resources *"),
        ("ClusterRole", _role(resources=["pods"]), _role(resources=["*/scale"]), "resources */scale"),
        ("Role", _role(apiGroups=[""]), _role(apiGroups=["*"]), "apiGroups *"),
        ("ClusterRole", _role(nonResourceURLs=["/metrics/*"]), _role(nonResourceURLs=["*"]), "nonResourceURLs"),
        ("ClusterRoleBinding", _binding(), _binding(role="cluster-admin"), "cluster-admin"),
        ("RoleBinding", _binding(), _binding(kind="Group", name="system:authenticated"), "system:authenticated"),
        ("RoleBinding", _binding(), _binding(kind="User", name="system:anonymous"), "system:anonymous"),
        (
            "ClusterRoleBinding",
            _binding(kind="Group", name="team"),
            _binding(kind="Group", name="system:serviceaccounts"),
            "system:serviceaccounts",
        ),
    )
]
ROWS = RIGHTS


def _guard(kind: str, field: str, namespace: str = "shop", match: Any = None, **spec: Any) -> StackResource:
    selector = {"matchLabels": {"app": "service"}} if match is None else match
    return StackResource(
        f"guard-{len(str(spec))}", kind, {"metadata": {"namespace": namespace}, "spec": {field: selector, **spec}}
    )


def _budget(**changed: Any) -> StackResource:
    return _guard(BUDGET, "selector", **changed)


def _policy(*types: str, **changed: Any) -> StackResource:
    return _guard(POLICY, "podSelector", **({"policyTypes": list(types)} if types else {}), **changed)


def _replicas(number: int | None) -> dict[str, Any]:
    props = deployment()
    props["spec"]["replicas"] = number
    return props


TWO = StackResource("two", DEPLOYMENT, deployment())
ONE = StackResource("one", DEPLOYMENT, _replicas(1))
SOMEWHERE = StackResource("two", DEPLOYMENT, {**deployment(), "metadata": {"namespace": UNKNOWN}})
BATCH = StackResource("job", JOB, {"metadata": {"namespace": "shop"}, "spec": {"template": {"spec": pod()}}})
BOTH, EVERYTHING = ("Ingress", "Egress"), dict[str, Any]()
IN = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["service", "other"]}]}
NOT_IN = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["service"]}]}
NO_TRACK = {"matchExpressions": [{"key": "track", "operator": "DoesNotExist"}]}
ANY_TRACK = {"matchExpressions": [{"key": "track", "operator": "Exists"}]}
NO_SELECTOR = StackResource("guard", BUDGET, {"metadata": {"namespace": "shop"}, "spec": {"minAvailable": 1}})
#: A track that an update deletes. Its policies are deleted with it.
CANARY = (StackResource("canary", DEPLOYMENT, deployment()),)
STACK_ROWS = [
    StackRow("disruption-budget", (_budget(), TWO), (TWO,), "no PodDisruptionBudget"),
    StackRow("disruption-budget", (ONE,), (_budget(namespace="another"), TWO), "maintenance of the nodes"),
    StackRow("disruption-budget", (_budget(match=IN), TWO), (_budget(match=NOT_IN), TWO), "`two`"),
    StackRow("disruption-budget", (_budget(match=NO_TRACK), TWO), (_budget(match=ANY_TRACK), TWO), "`two`"),
    StackRow("disruption-budget", (TWO, _budget()), (TWO, _policy(*BOTH)), "`two`"),
    StackRow("disruption-budget", (_budget(), SOMEWHERE), (SOMEWHERE,), "`two`"),
    StackRow("disruption-budget", (_budget(match=EVERYTHING), TWO), (NO_SELECTOR, TWO), "no PodDisruptionBudget"),
    StackRow(
        "disruption-budget",
        (StackResource("database", STATEFUL_SET, deployment()),),
        (_policy(*BOTH), TWO),
        "no PodDisruptionBudget",
    ),
    StackRow("network-policy", (_policy(*BOTH), TWO), (TWO,), "for ingress and egress"),
    StackRow("network-policy", (_policy(*BOTH, match=EVERYTHING), TWO), (_policy("Ingress"), TWO), "for egress"),
    StackRow("network-policy", (_policy("Ingress"), _policy("Egress"), TWO), (_policy("Egress"), TWO), "for ingress"),
    StackRow("network-policy", (_policy(egress=[{}]), TWO), (_policy(ingress=[{}]), TWO), "for egress"),
    StackRow(
        "network-policy", (_policy(*BOTH), TWO), (_policy(*BOTH, namespace="another"), TWO), "before this workload"
    ),
    StackRow("network-policy", (_policy(*BOTH), SOMEWHERE), (_policy("Ingress"), SOMEWHERE), "for egress"),
    StackRow(
        "network-policy", (_policy(*BOTH, match=EVERYTHING), BATCH), (_policy(*BOTH), BATCH), "before this workload"
    ),
    StackRow("network-policy", (_policy(*BOTH), TWO), (TWO, _policy(*BOTH)), "declared before this workload"),
]
