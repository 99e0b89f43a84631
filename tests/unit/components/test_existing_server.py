"""Config key `databaseServer`: the stack's database in a PostgreSQL server that exists already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from stacks.existing_server import own_name
from stacks.parsing import ConfigError, parse
from tests.unit.components.aws.simulated import AUTHORITY, AWS
from tests.unit.components.graphs import secret_data

SERVER = {"host": "db.example", "user": "admin"}
PASSWORD = "of-the-administrator"


@pytest.fixture
def stack(declare: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that declares a stack with the server, changed by the given parts."""

    def declared(**parts: str) -> Any:
        config = {"databaseServer": {**SERVER, **parts}, "databaseServerPassword": PASSWORD}
        return declare(secret_keys=("databaseServerPassword",), **config)

    return declared


def test_the_stack_has_a_database_and_a_role_of_its_own_there(stack: Callable[..., Any]):
    graph = stack(port="6432")
    assert not graph.all("StatefulSet")
    login = graph.one("Secret", "database-administrator").inputs["stringData"]
    assert (login["PGHOST"], login["PGPORT"], login["PGUSER"]) == ("db.example", "6432", "admin")
    assert (login["PGDATABASE"], login["RELEASE_DATABASE"]) == ("postgres", "addressbook_test")
    params = graph.one("Secret", "db-params")
    assert secret_data(params, "DB_USER") == secret_data(params, "DB_SCHEMA") == "addressbook_test"
    assert secret_data(params, "DB_SSL") == "true"
    assert any(path.startswith("stringData") for path in graph.one("Secret", "database-administrator").secret_paths)


def test_other_peoples_database_keeps_its_rights(stack: Callable[..., Any]):
    login = stack().one("Secret", "database-administrator").inputs["stringData"]
    assert "PLATFORM_USER" not in login
    assert "\\if :{?platform_user}" in login["create.sql"]
    assert login["PGSSLMODE"] == "require"


def test_destroy_leaves_the_data(stack: Callable[..., Any]):
    assert not stack().all("CleanupOnDestroy")


def test_the_servers_authority_is_verified(stack: Callable[..., Any]):
    graph = stack(ca=str(AUTHORITY))
    login = graph.one("Secret", "database-administrator").inputs["stringData"]
    assert "PGSSLMODE" not in login
    assert login["ca.crt"] == AUTHORITY.read_text()
    assert secret_data(graph.one("Secret", "db-params"), "DB_CA") == AUTHORITY.read_text()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"databaseServer": SERVER}, "databaseServerPassword.*must be set together with databaseServer"),
        ({"databaseServer": {"host": "db.example"}}, "databaseServer.*must have the parts host and user"),
        ({"databaseServer": {**SERVER, "ca": "no-such.pem"}}, "no-such.pem does not exist or contains no certificates"),
        ({"databaseServer": {**SERVER, "port": "five"}}, "port must be a number"),
    ],
)
def test_an_incomplete_server_is_refused(declare: Callable[..., Any], config: dict[str, Any], message: str):
    with pytest.raises(pulumi.RunError, match=message):
        declare(**config)


def test_the_password_must_be_encrypted(declare: Callable[..., Any]):
    with pytest.raises(pulumi.RunError, match="databaseServerPassword: is in plain text; encrypt it") as refused:
        declare(databaseServer=SERVER, databaseServerPassword=PASSWORD)
    assert PASSWORD not in str(refused.value)


def test_a_password_for_another_cloud_is_not_printed():
    values = {"cloud": "aws", "databaseServerPassword": PASSWORD}
    with pytest.raises(ConfigError, match="databaseServerPassword: cloud `aws` does not use this key") as refused:
        parse(values, AWS.keys, secret_keys={"databaseServerPassword"})
    assert PASSWORD not in str(refused.value)


def test_a_password_in_the_wrong_place_is_not_printed(declare: Callable[..., Any]):
    with pytest.raises(
        pulumi.RunError, match=r"databaseServer: must have .* belongs in databaseServerPassword"
    ) as refused:
        declare(secret_keys=("databaseServer",), databaseServer={**SERVER, "password": PASSWORD})
    assert PASSWORD not in str(refused.value)


def test_two_stacks_never_share_a_name():
    assert own_name("addressbook", "prod-eu") == "addressbook_prod_eu"
    assert len(own_name("addressbook", "x" * 100)) == 63
