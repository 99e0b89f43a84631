"""What is in a Cloud SQL instance: databases and users, real ones of its PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.database import refusing
from lab.plugins.declared import Property
from lab.plugins.gcp.kind import GoogleKind
from lab.plugins.gcp.rules import PROJECT
from lab.plugins.gcp.sql import LINK, SUPERUSER, server
from lab.plugins.postgres import quoted
from lab.plugins.properties import Properties

INSTANCE = Property(str, required=True, replaces=True)
#: In a database or with a user, ABANDON leaves it to go with the instance.
DELETION_POLICY = Property(str, values=frozenset({"ABANDON", "DELETE"}))


class _InInstance(GoogleKind):
    """Something inside an instance."""

    module = "sql"
    api = "sqladmin"
    unique_name = False

    def sql(self, inputs: Properties, statement: str) -> str:
        """Run it on the instance's server. Raises Refused."""
        with refusing("400"):
            database = server(self.account, self.existing("DatabaseInstance", inputs["instance"]))
            database.start()
            return database.sql(statement)


class Database(_InInstance):
    """A database; all users that are made through the API share the role that owns it."""

    title = "database"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, replaces=True, pattern=r"[^\"\0]{1,63}", rule="63 characters at most"),
        "instance": INSTANCE,
        "charset": Property(str, values=frozenset({"UTF8"})),
        "collation": Property(str, values=frozenset({"en_US.UTF8"})),
        "deletionPolicy": DELETION_POLICY,
        "project": PROJECT,
    }
    computed = ("charset", "collation", "project", "selfLink")

    @override
    def identify(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/instances/{inputs['instance']}/databases/{inputs['name']}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        there = self.sql(inputs, f"SELECT 1 FROM pg_database WHERE datname = {quoted(inputs['name'])}")  # noqa: S608 quoted
        if not there:  # else an interrupted attempt has made it
            self.sql(inputs, f'CREATE DATABASE "{inputs["name"]}" OWNER {SUPERUSER}')
        return {"charset": "UTF8", "collation": "en_US.UTF8", "project": self.project(inputs), "selfLink": LINK + id}

    @override
    def unmake(self, record: Record) -> None:
        """PostgreSQL refuses while somebody is connected."""
        self.sql(record.inputs, f'DROP DATABASE IF EXISTS "{record.inputs["name"]}"')


class User(_InInstance):
    """A user with a password."""

    title = "database user"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, replaces=True, pattern=r"[^\"\0]{1,63}", rule="63 characters at most"),
        "instance": INSTANCE,
        "password": Property(str),
        "type": Property(str, replaces=True, values=frozenset({"BUILT_IN"})),
        "deletionPolicy": DELETION_POLICY,
        "project": PROJECT,
    }
    computed = ("project",)
    secret = frozenset({"password"})
    write_only = frozenset({"password"})

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['name']}//{inputs['instance']}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        name, password = inputs["name"], inputs.get("password")
        there = self.sql(inputs, f"SELECT 1 FROM pg_roles WHERE rolname = {quoted(name)}")  # noqa: S608 quoted
        doing = "ALTER" if there else "CREATE"  # an interrupted attempt has made it
        self.sql(inputs, f'{doing} ROLE "{name}" LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password or "")}')
        self.sql(inputs, f'GRANT {SUPERUSER} TO "{name}"')
        return {"project": self.project(inputs)}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        if new.get("password"):
            self.sql(new, f'ALTER ROLE "{new["name"]}" PASSWORD {quoted(new["password"])}')
        return {}

    @override
    def unmake(self, record: Record) -> None:
        """PostgreSQL refuses while the user owns anything, or has rights that were granted to it."""
        self.sql(record.inputs, f'DROP ROLE IF EXISTS "{record.inputs["name"]}"')
