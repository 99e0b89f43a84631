"""One platform stack and two release stacks on it, each with a namespace and a database of its own."""

from __future__ import annotations

import base64
import dataclasses
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Api

PLATFORM = "addressbook-e2e-platform"
RELEASES = {"one": "addressbook-e2e-one", "two": "addressbook-e2e-two"}
LOCAL = {"cloud": "local", "stableReplicas": 1, "rolloutTimeoutSeconds": 60, "preStopSeconds": 1}


@dataclass
class Stacks:
    """Three stacks of one project in one backend."""

    platform: Any
    one: Any
    two: Any

    def sql(self, statement: str, role: str = "", password: str = "", database: str = "demo") -> Any:
        """Run a statement in the platform's server, as its administrator or as a role with a password."""
        login = ["-h", "127.0.0.1", "-U", role] if role else ["-U", "demouser"]
        inside = ["env", f"PGPASSWORD={password}", "psql", "-At", *login, "-d", database, "-c", statement]
        return self.platform.kubectl("exec", "-n", PLATFORM, "addressbook-db-0", "--", *inside, check=False)

    def names(self, what: str) -> set[str]:
        """Return the databases (pg_database) or roles (pg_roles) that releases have created in the server."""
        statement = {"pg_database": "SELECT datname FROM pg_database", "pg_roles": "SELECT rolname FROM pg_roles"}[what]
        return {name for name in self.sql(statement).stdout.split() if name.startswith("release_")}


def release(platform: Any, stack: str, **config: Any) -> Any:
    """Create another stack of the same project in the same backend."""
    project = dataclasses.replace(platform, stack=stack)
    values = {**LOCAL, "platformStack": platform.stack, **config}
    project.stack_file.write_text(yaml.safe_dump({"config": {f"addressbook:{k}": v for k, v in values.items()}}))
    project.run("pulumi", "stack", "init", stack, "--non-interactive")
    return project


@pytest.fixture(scope="module")
def stacks(lab: dict[str, str], new_project: Callable[..., Any]) -> Iterator[Stacks]:
    """All three stacks, running."""
    cluster = {"kubeContext": "addressbook-lab", "registry": "10.203.0.1:5000", "namespace": PLATFORM}
    platform = new_project("platform", lab, **LOCAL, **cluster)
    platform.delete_namespaces(*RELEASES.values(), PLATFORM)
    created = [platform]
    try:
        platform.up()
        for stack, namespace in RELEASES.items():
            created.append(release(platform, stack, namespace=namespace))
            created[-1].up()
        yield Stacks(*created)
    finally:
        for project in reversed(created):
            project.pulumi("cancel", "--yes", check=False)
            project.pulumi("destroy", "--yes", "--skip-preview", check=False)
        platform.delete_namespaces(*RELEASES.values(), PLATFORM)


def login(project: Any) -> tuple[str, str, str]:
    """Return role, password and database of a stack's service, from its pods' Secret."""
    (secret,) = [
        each
        for each in project.objects("secrets", project.outputs()["namespace"])
        if each["metadata"]["name"] == "db-params"
    ]
    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    return values["DB_USER"], values["DB_PASSWORD"], values["DB_SCHEMA"]


def names_stored(project: Any) -> list[str]:
    status, people = Api(project.outputs()["url"]).call("GET", "/all")
    assert status == 200
    return [person["firstName"] for person in people]


#: The clean-up resource's provider in states of versions before 0.9: a pickled reference to its class.
OLDER_PROVIDER = "gASVKQAAAAAAAACMFGNvbXBvbmVudHMuZmluYWxfam9ilIwJRmluYWxKb2JzlJOUKYGULg=="


def store_older_state(project: Any) -> None:
    """Rewrite the stack's state as a version before 0.9 wrote it, with that version's types."""
    text = project.pulumi("stack", "export").stdout
    text = text.replace("delivery:CleanupOnDestroy", "addressbook:FinalJob").replace("delivery:", "addressbook:")
    document = json.loads(text)
    for resource in document["deployment"]["resources"]:
        if resource["type"].endswith(":FinalJob"):
            for values in (resource["inputs"], resource["outputs"]):
                values["__provider"] = OLDER_PROVIDER
    file = project.folder / "older.json"
    file.write_text(json.dumps(document))
    project.pulumi("stack", "import", "--file", str(file))


def test_each_stack_serves_its_own_data(stacks: Stacks):
    for name in ("platform", "one", "two"):
        Api(getattr(stacks, name).outputs()["url"]).store(f"of-{name}", "Lovelace")
    assert names_stored(stacks.platform) == ["of-platform"]
    assert names_stored(stacks.one) == ["of-one"]
    assert names_stored(stacks.two) == ["of-two"]


def test_release_role_reaches_only_its_own_database(stacks: Stacks):
    role, password, database = login(stacks.one)
    own = stacks.sql("SELECT first_name FROM person", role, password, database)
    assert own.stdout.split() == ["of-one"], own.stderr
    for another in (login(stacks.two)[2], "demo"):
        refused = stacks.sql("SELECT 1", role, password, another)
        assert refused.returncode != 0
        assert f'permission denied for database "{another}"' in refused.stderr
    privileged = (
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication FROM pg_roles WHERE rolname = current_user"
    )
    assert stacks.sql(privileged, role, password, database).stdout.split() == ["f"]
    assert stacks.sql(f'DROP DATABASE "{database}"', role, password, "postgres").returncode != 0


def test_refreshed_stacks_have_no_changes(stacks: Stacks):
    for project in (stacks.platform, stacks.one, stacks.two):
        project.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes")


def test_older_state_has_no_changes(stacks: Stacks):
    for project in (stacks.platform, stacks.one):
        store_older_state(project)
        project.pulumi("preview", "--expect-no-changes")


def test_release_stack_holds_no_platform_resources(stacks: Stacks):
    kinds = {each["type"] for each in stacks.one.state()["resources"]}
    assert "kubernetes:apps/v1:StatefulSet" not in kinds
    assert "pulumi:pulumi:StackReference" not in kinds, "a StackReference would store all of the platform's outputs"
    text = str(stacks.one.state())
    assert "ciphertext" in text
    administrator = stacks.platform.run("pulumi", "stack", "output", "--json", "--show-secrets", "-s", "platform")
    assert yaml.safe_load(administrator.stdout)["platform"]["database"]["administrator_password"] not in text


def test_database_that_cannot_be_dropped_stops_destroy(stacks: Stacks):
    secret, namespace = "addressbook-db-release", RELEASES["two"]
    (before,) = [each for each in stacks.two.objects("secrets", namespace) if each["metadata"]["name"] == secret]
    wrong = base64.b64encode(b"not the administrator's").decode()
    patched = ["patch", "secret", "-n", namespace, secret, "-p"]
    stacks.two.kubectl(*patched, f'{{"data": {{"PGPASSWORD": "{wrong}"}}}}')
    refused = stacks.two.pulumi("destroy", "--yes", "--skip-preview", check=False)
    assert refused.returncode != 0
    output = refused.stdout + refused.stderr
    assert "database release_addressbook_e2e_two was not removed" in output
    assert "password authentication failed" in output
    assert "Traceback" not in output
    assert "release_addressbook_e2e_two" in stacks.names("pg_database")
    assert names_stored(stacks.one) == ["of-one"]

    stacks.two.kubectl(*patched, f'{{"data": {{"PGPASSWORD": "{before["data"]["PGPASSWORD"]}"}}}}')
    stacks.two.up()
    assert names_stored(stacks.two) == ["of-two"], "the stack is back, with its data"


def test_destroying_one_release_spares_the_other(stacks: Stacks):
    def pods(namespace: str) -> set[str]:
        return {each["metadata"]["uid"] for each in stacks.two.objects("pods", namespace)}

    before = {namespace: pods(namespace) for namespace in (RELEASES["two"], PLATFORM)}
    stacks.one.pulumi("destroy", "--yes", "--skip-preview")
    assert stacks.one.state().get("resources", []) == []
    assert stacks.one.kubectl("get", "namespace", RELEASES["one"], check=False).returncode != 0
    assert stacks.names("pg_database") == stacks.names("pg_roles") == {"release_addressbook_e2e_two"}
    assert {namespace: pods(namespace) for namespace in before} == before
    assert names_stored(stacks.two) == ["of-two"]
    assert names_stored(stacks.platform) == ["of-platform"]


def test_destroying_all_stacks_leaves_nothing(stacks: Stacks):
    stacks.two.pulumi("destroy", "--yes", "--skip-preview")
    assert stacks.names("pg_database") == stacks.names("pg_roles") == set()
    stacks.platform.pulumi("destroy", "--yes", "--skip-preview")
    namespaces = subprocess.run(
        ["kubectl", "get", "namespaces", "-o", "name"],
        env=stacks.platform.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not [line for line in namespaces.split() if line.partition("/")[2] in (PLATFORM, *RELEASES.values())]
