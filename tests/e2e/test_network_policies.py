"""The connections that the NetworkPolicies allow between the running pods.

The lab's network does not enforce policies. The test evaluates them as the API's documentation defines them; it does
not show that packets are dropped.
"""

from __future__ import annotations

from typing import Any

NAMESPACE = "addressbook-e2e"


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        value = labels.get(rule["key"])
        holds = {
            "In": value in rule.get("values", []),
            "NotIn": value not in rule.get("values", []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[rule["operator"]]
        if not holds:
            return False
    return True


def port_matches(rule: dict[str, Any], pod: dict[str, Any] | None, port: int) -> bool:
    if "ports" not in rule:
        return True
    named = {
        p["name"]: p["containerPort"]
        for container in (pod or {"spec": {"containers": []}})["spec"]["containers"]
        for p in container.get("ports", [])
        if "name" in p
    }
    return any(
        entry.get("protocol", "TCP") == "TCP" and named.get(entry["port"], entry["port"]) == port
        for entry in rule["ports"]
    )


def allowed(
    policies: list[dict[str, Any]], source: dict[str, Any] | None, target: dict[str, Any] | None, port: int
) -> bool:
    """Return whether a TCP connection is allowed; None is any address outside the namespace."""

    def direction(pod: dict[str, Any] | None, peer: dict[str, Any] | None, kind: str, rules: str, peers: str) -> bool:
        if pod is None:
            return True
        chosen = [
            policy["spec"]
            for policy in policies
            if kind in policy["spec"]["policyTypes"]
            and selects(policy["spec"]["podSelector"], pod["metadata"]["labels"])
        ]
        if not chosen:
            return True  # no policy selects the pod: everything is allowed
        for rule in (rule for spec in chosen for rule in spec.get(rules, [])):
            peer_matches = peers not in rule or any(
                peer is not None and "podSelector" in p and selects(p["podSelector"], peer["metadata"]["labels"])
                for p in rule[peers]
            )
            if peer_matches and port_matches(rule, target, port):
                return True
        return False

    return direction(source, target, "Egress", "egress", "to") and direction(
        target, source, "Ingress", "ingress", "from"
    )


def test_policies_allow_only_the_expected_connections(stack: Any):
    policies = stack.objects("networkpolicies", NAMESPACE)
    assert {p["metadata"]["name"] for p in policies} == {"addressbook", "addressbook-db"}
    pods = stack.objects("pods", NAMESPACE)

    def one(app: str) -> dict[str, Any]:
        return next(pod for pod in pods if pod["metadata"]["labels"].get("app") == app)

    service, database, migration = one("addressbook"), one("addressbook-db"), one("addressbook-migrate")
    stranger = {"metadata": {"labels": {"app": "stranger"}}, "spec": {"containers": []}}
    connections = {
        "users -> service": (None, service, 3000, True),
        "users -> metrics": (None, service, 9464, False),
        "namespace -> metrics": (stranger, service, 9464, True),
        "service -> database": (service, database, 5432, True),
        "migration -> database": (migration, database, 5432, True),
        "stranger -> database": (stranger, database, 5432, False),
        "users -> database": (None, database, 5432, False),
        "users -> migration": (None, migration, 8080, False),
        "service -> anywhere": (service, None, 443, False),
        "service -> name service": (service, None, 53, True),
        "database -> anywhere": (database, None, 443, False),
    }
    for name, (source, target, port, expected) in connections.items():
        assert allowed(policies, source, target, port) is expected, name
        print(f"{name:<26} port {port:<5} {'allowed' if expected else 'denied'}")
