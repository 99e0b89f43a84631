"""Managed PostgreSQL: the service's connection and rights."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from components.database_rights import grants
from tests.unit.components.digitalocean.simulated import AUTHORITY, DATABASE_USER
from tests.unit.components.graphs import secret_data


def test_the_service_uses_verified_tls_and_waits_for_rights(graph: Callable[..., Any]):
    stack = graph()
    params = stack.one("Secret", "db-params")
    assert secret_data(params, "DB_SSL") == "true"
    assert secret_data(params, "DB_CA") == AUTHORITY
    assert secret_data(params, "DB_HOST") == "private-db.example"
    assert secret_data(params, "DB_PORT") == "25060"
    assert (secret_data(params, "DB_USER"), secret_data(params, "DB_PASSWORD")) == ("demouser", "user-password")
    rights = stack.one("Job", "database-rights")
    assert rights.urn in params.dependencies
    pod = rights.inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [f"--command={grants('demo', 'demouser')}"]
    assert {"name": "PGSSLMODE", "value": "verify-full"} in container["env"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "password" not in json.dumps(rights.inputs).replace("PGPASSWORD", "")


def test_a_new_password_grants_the_rights_again(graph: Callable[..., Any], cloud: Any):
    before = graph().one("Job", "database-rights").inputs
    assert graph().one("Job", "database-rights").inputs == before
    cloud.computed[DATABASE_USER] = lambda _: {"password": "another"}
    assert graph().one("Job", "database-rights").inputs != before
