"""Fixtures: a database server for the run, a fresh database and service where a test needs one.

TEST_DB_HOST, TEST_DB_PORT, TEST_DB_USER, TEST_DB_PASSWORD and TEST_DB_SCHEMA name a server that is up
already; it must ask for passwords, and its user be allowed to create databases. Tests that stop a server
or change its certificates are skipped then, unless the machine can start one of its own for them.
"""

import asyncio
import importlib.util
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
if importlib.util.find_spec("addressbook") is None:
    sys.path.insert(0, str(Path(__file__).parents[1]))

from addressbook_testing.postgres import NoPostgres, PostgresServer
from addressbook_testing.service import Service, run_command

# Nothing is kept between runs, and no test depends on how fast the machine is.
settings.register_profile("addressbook", database=None, deadline=None)
settings.load_profile("addressbook")

Environment = dict[str, str]
WAITING = "SELECT 1 FROM pg_locks WHERE relation = 'person'::regclass AND NOT granted"


@pytest.fixture(scope="session")
def server_environment() -> Iterator[Environment]:
    """Return how to reach the database server of this run."""
    if "TEST_DB_HOST" in os.environ:
        names = ("HOST", "PORT", "USER", "PASSWORD", "SCHEMA")
        given = {name: os.environ.get(f"TEST_DB_{name}", "") for name in names}
        yield {f"DB_{name}": value for name, value in given.items()}
        return
    try:
        server = PostgresServer()
    except NoPostgres as error:
        pytest.skip(f"{error}, and TEST_DB_HOST names none")
    try:
        server.start()
        yield server.environment
    finally:
        server.remove()


@pytest.fixture
def own_server() -> Iterator[Callable[..., PostgresServer]]:
    """Return a function that creates servers the test may stop and restart; they are not started."""
    servers: list[PostgresServer] = []

    def make(*, tls_only: bool = False) -> PostgresServer:
        try:
            servers.append(PostgresServer(tls_only=tls_only))
        except NoPostgres as error:
            pytest.skip(str(error))
        return servers[-1]

    try:
        yield make
    finally:
        for server in servers:
            server.remove()


async def connect(environment: Environment) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=environment["DB_HOST"],
        port=int(environment["DB_PORT"]),
        user=environment["DB_USER"],
        password=environment["DB_PASSWORD"],
        database=environment["DB_SCHEMA"],
    )


def execute(environment: Environment, *statements: str) -> list[asyncpg.Record]:
    """Run SQL directly; return the last statement's rows."""

    async def run() -> list[asyncpg.Record]:
        connection = await connect(environment)
        try:
            rows: list[asyncpg.Record] = []
            for statement in statements:
                rows = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture
def sql() -> Callable[..., list[asyncpg.Record]]:
    return execute


@contextmanager
def hold_table(environment: Environment, mode: str = "ACCESS EXCLUSIVE") -> Iterator[Callable[[], bool]]:
    """Lock the table of persons, and yield a function that returns whether a statement waits for it.

    The mode EXCLUSIVE lets statements read it.
    """
    with asyncio.Runner() as runner:
        connection = runner.run(connect(environment))
        try:
            runner.run(connection.execute(f"BEGIN; LOCK TABLE person IN {mode} MODE"))
            yield lambda: bool(runner.run(connection.fetch(WAITING)))
        finally:
            runner.run(connection.close())


@pytest.fixture
def table_lock() -> Callable[..., AbstractContextManager[Callable[[], bool]]]:
    """Return `hold_table`."""
    return hold_table


def _make_database(server_environment: Environment) -> Environment:
    name = f"addressbook_test_{uuid.uuid4().hex[:12]}"
    execute(server_environment, f'CREATE DATABASE "{name}"')
    return {**server_environment, "DB_SCHEMA": name}


def _drop_database(server_environment: Environment, database: Environment) -> None:
    execute(server_environment, f'DROP DATABASE "{database["DB_SCHEMA"]}" WITH (FORCE)')


@pytest.fixture
def empty_database(server_environment: Environment) -> Iterator[Environment]:
    """A new database without tables."""
    database = _make_database(server_environment)
    try:
        yield database
    finally:
        _drop_database(server_environment, database)


@pytest.fixture(scope="session")
def database(server_environment: Environment) -> Iterator[Environment]:
    """A migrated database, shared by all tests."""
    made = _make_database(server_environment)
    try:
        migration = run_command("migrate", environment=made)
        assert migration.returncode == 0, migration.stderr
        yield made
    finally:
        _drop_database(server_environment, made)


@pytest.fixture(scope="session")
def service(database: Environment) -> Iterator[Service]:
    """A running service, shared by all tests."""
    running = Service({**database, "VERSION": "1.2.3", "REVISION": "abc123"})
    try:
        running.wait_until("/ready")
        yield running
    finally:
        running.stop()


@pytest.fixture
def start_service() -> Iterator[Callable[..., Service]]:
    """Return a function that starts a service for one test, with other limits than usual if given."""
    services: list[Service] = []

    def start(environment: Environment, **limits: float) -> Service:
        services.append(Service(environment, **limits))
        return services[-1]

    try:
        yield start
    finally:
        for running in services:
            running.stop()
