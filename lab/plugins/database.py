"""Managed PostgreSQL of a simulated cloud: a real server behind each instance, with real databases and users in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from typing_extensions import override

from lab.plugins import addresses
from lab.plugins.account import Record
from lab.plugins.backups import Backup, Backups
from lab.plugins.kind import ApiError, Kind
from lab.plugins.postgres import Server, ServerUnavailableError, quoted
from lab.plugins.properties import Properties


@contextmanager
def refusing(answer: str) -> Iterator[None]:
    """Turn a server's failure into the cloud's refusal: the API's answer (``500``), then the server's own message."""
    try:
        yield
    except (ServerUnavailableError, addresses.AddressesExhaustedError) as error:
        raise ApiError(f"{answer} {error}") from None


class DatabaseServer(Kind):
    """A PostgreSQL server, whatever size and number of nodes the program asks for."""

    failure: ClassVar[str] = "500"
    """The API's answer while the server is unavailable."""
    address_output: ClassVar[str] = ""
    """The output for an address of the server's own, "" for a server on the lab's host address."""

    def server(self, record: Record) -> Server:
        """Return the server behind an instance."""
        raise NotImplementedError

    def admit(self, record: Record) -> None:
        """Accept connections from where the account allows them."""
        del record

    def start(self, record: Record) -> Server:
        """Return the running server: a restarted lab has ended it, and the cloud would not have. Raises ApiError."""
        server = self.server(record)
        with refusing(self.failure):
            server.start()
        return server

    def launch(self, record: Record, statements: str, backup: Backup | None = None) -> Server:
        """Create a server, empty or from a backup, and run SQL on it; remove it if that fails. Raises ApiError."""
        if interrupted := self.account.get(record.type, record.id):
            self.discard(interrupted)
        try:
            with refusing(self.failure):
                if self.address_output:
                    record.outputs[self.address_output] = addresses.take(self.account.lab, self.account.folder.name)
                # Stored now, so that a killed plugin leaves no unknown address, and new access rules find the server.
                self.account.put(record)
                server = self.server(record)
                if backup:
                    server.begin_with(Backups(self.account).data(backup.id))
                server.create()
                if statements:
                    server.sql(statements)
                self.admit(record)
        except ApiError:
            self.discard(record)
            raise
        return server

    def known_as(self, record: Record) -> str:
        """Return what the cloud knows a server's backups by."""
        return record.inputs["name"]

    def take_backup(self, record: Record, id: str) -> Backup:
        """Take a backup of a server, with the account's records of what is in it. Raises ApiError."""
        inside = [each for kind, path in self.deleted_with.items() for each in self.inside(record, kind, path)]
        with refusing(self.failure):
            return Backups(self.account).take(self.server(record), id, self.known_as(record), inside)

    def inside(self, record: Record, kind: str, path: str) -> list[Record]:
        """Return the resources of a type in a server that are part of its data."""
        return [each for each in self.account.records(kind, **{path: record.id}) if "name" in each.inputs]

    @override
    def refresh(self, record: Record) -> Properties:
        self.start(record)
        return {}

    @override
    def discard(self, record: Record) -> None:
        self.server(record).destroy()

    def announce(self, product: str, server: Server) -> None:
        """Tell the user what stands in for the product."""
        self.engine.info(
            f"simulated: {product} is one real PostgreSQL {server.version} with TLS at {server.host}:{server.port};"
            " no standby"
        )


class InServer(Kind):
    """A resource inside a database server."""

    unique_name = False
    server_type: ClassVar[type[DatabaseServer]]
    server_input: ClassVar[str]
    """The input with the server's id."""
    failure: ClassVar[str]
    """The API's answer to a request that PostgreSQL refuses."""

    def sql(self, inputs: Properties, statement: str) -> str:
        """Run a statement on the server. Raises ApiError."""
        with refusing(self.failure):
            record = self.existing(self.server_type.__name__, inputs[self.server_input])
            server = self.server_type(self.account, self.engine).server(record)
            server.start()
            return server.sql(statement)


class ServerDatabase(InServer):
    """A database."""

    owner: ClassVar[str]
    drop_option: ClassVar[str] = ""

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        # An interrupted attempt may have created it.
        if not self.sql(inputs, f"SELECT 1 FROM pg_database WHERE datname = {quoted(inputs['name'])}"):  # noqa: S608
            self.sql(inputs, f'CREATE DATABASE "{inputs["name"]}" OWNER {self.owner}')
        return {}

    @override
    def delete(self, record: Record) -> None:
        """Drop it. Without a drop option PostgreSQL refuses while it has connections."""
        self.sql(record.inputs, f'DROP DATABASE IF EXISTS "{record.inputs["name"]}"{self.drop_option}')


class ServerUser(InServer):
    """A role that can log in."""

    @override
    def delete(self, record: Record) -> None:
        """Drop it. PostgreSQL refuses while it owns anything or holds granted rights."""
        self.sql(record.inputs, f'DROP ROLE IF EXISTS "{record.inputs["name"]}"')
