"""The connections that the NetworkPolicies allow between the running pods.

The lab's network does not enforce policies. The test evaluates them as the API's documentation defines them; it does
not show that packets are dropped.
"""

from __future__ import annotations

from typing import Any

from tests.network import Pod, allowed

NAMESPACE = "addressbook-e2e"
USER = "203.0.113.7"


def test_policies_allow_only_the_expected_connections(stack: Any):
    policies = stack.objects("networkpolicies", NAMESPACE)
    assert {p["metadata"]["name"] for p in policies} == {"addressbook", "addressbook-db", "default-deny"}
    pods = stack.objects("pods", NAMESPACE)

    def one(app: str) -> Pod:
        pod = next(pod for pod in pods if pod["metadata"]["labels"].get("app") == app)
        return Pod.of(NAMESPACE, pod["metadata"], pod["spec"])

    service, database, migration = one("addressbook"), one("addressbook-db"), one("addressbook-migrate")
    stranger, monitor = Pod(NAMESPACE, {"app": "stranger"}), Pod("monitoring", {"app": "prometheus"})
    connections = {
        "users -> service": (USER, service, 3000, True),
        "users -> metrics": (USER, service, 9464, False),
        "another namespace -> metrics": (monitor, service, 9464, False),
        "service -> database": (service, database, 5432, True),
        "migration -> database": (migration, database, 5432, True),
        "stranger -> database": (stranger, database, 5432, False),
        "stranger -> anywhere": (stranger, USER, 443, False),
        "users -> stranger": (USER, stranger, 8080, False),
        "users -> database": (USER, database, 5432, False),
        "users -> migration": (USER, migration, 8080, False),
        "service -> anywhere": (service, USER, 443, False),
        "service -> name service": (service, USER, 53, True),
        "database -> anywhere": (database, USER, 443, False),
    }
    for name, (source, target, port, expected) in connections.items():
        assert allowed(policies, source, target, port) is expected, name
        print(f"{name:<28} port {port:<5} {'allowed' if expected else 'denied'}")
