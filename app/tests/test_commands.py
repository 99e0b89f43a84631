"""`ping`, `migrate` and `test` against a real database, and without one."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import asyncpg
import pytest
from addressbook_testing.postgres import PostgresServer, free_port
from addressbook_testing.service import command_environment, run_command

from addressbook.database import Unavailable
from addressbook.schema import Migration, migrate, migrations
from addressbook.settings import Settings

Environment = dict[str, str]
Sql = Callable[..., list[asyncpg.Record]]


def where(environment: Environment) -> str:
    return f"{environment['DB_SCHEMA']} at {environment['DB_HOST']}:{environment['DB_PORT']}: "


def test_ping(database: Environment) -> None:
    result = run_command("ping", environment=database)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == where(database) + "The database answers.\n"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"DB_PASSWORD": "wr0ng-s3cret"}, "The database does not let the user in"),
        ({"DB_SCHEMA": "nowhere"}, "The database server has no database of that name: see DB_SCHEMA."),
        ({"DB_HOST": "nowhere.invalid"}, "The database cannot be reached: "),
        ({"DB_PORT": str(free_port())}, "The database refuses connections: nothing listens on its port."),
    ],
)
@pytest.mark.parametrize("command", [("ping",), ("migrate", "--wait", "0"), ("test",)])
def test_unreachable_database_is_explained(
    database: Environment, command: tuple[str, ...], change: Environment, sentence: str
) -> None:
    environment = {**database, **change}
    result = run_command(*command, environment=environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(where(environment) + sentence)
    assert result.stderr.count("\n") == 1
    assert "wr0ng-s3cret" not in result.stderr


def test_round_trip_leaves_nothing_behind(database: Environment, sql: Sql) -> None:
    before = sql(database, "SELECT * FROM person ORDER BY id")
    result = run_command("test", environment=database)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Created, read and deleted person " in result.stdout
    assert sql(database, "SELECT * FROM person ORDER BY id") == before


def test_round_trip_fails_without_tables(empty_database: Environment) -> None:
    result = run_command("test", environment=empty_database)
    assert result.returncode == 1
    assert "run `addressbook migrate`" in result.stderr


def test_migrating_twice_changes_nothing(empty_database: Environment, sql: Sql) -> None:
    first = run_command("migrate", environment=empty_database)
    assert (first.returncode, first.stderr) == (0, "")
    assert "applied now: 1 person" in first.stdout
    before = sql(empty_database, "SELECT * FROM schema_version")
    again = run_command("migrate", environment=empty_database)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith(f"The schema is at version {len(migrations())}, as this release needs it.\n")
    assert sql(empty_database, "SELECT * FROM schema_version") == before


def test_concurrent_migrations(empty_database: Environment, sql: Sql) -> None:
    command = [sys.executable, "-m", "addressbook", "migrate"]
    environment = command_environment(empty_database)
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    results = [(process.communicate(timeout=60), process.returncode) for process in running]
    assert [code for _, code in results] == [0, 0, 0, 0], results
    assert sum("applied now" in output for (output, _), _ in results) == 1
    versions = sql(empty_database, "SELECT version FROM schema_version ORDER BY version")
    assert [row["version"] for row in versions] == [step.version for step in migrations()]


def test_newer_schema_is_left_alone(empty_database: Environment, sql: Sql) -> None:
    assert run_command("migrate", environment=empty_database).returncode == 0
    sql(empty_database, "INSERT INTO schema_version (version, name) VALUES (99, 'from the future')")
    result = run_command("migrate", environment=empty_database)
    assert (result.returncode, result.stderr) == (0, "")
    assert "The schema is at version 99, newer than this release's" in result.stdout
    assert run_command("test", environment=empty_database).returncode == 0


def test_failed_migration_is_rolled_back(empty_database: Environment, sql: Sql) -> None:
    settings = Settings.read(empty_database).database
    one = Migration(1, "one", "CREATE TABLE one ()")
    broken = Migration(2, "broken", "CREATE TABLE two (); SELECT 1 / 0")
    with pytest.raises(Unavailable, match="Migration 2 broken failed and was undone: division by zero"):
        asyncio.run(migrate(settings, 5, [one, broken]))
    tables = "SELECT to_regclass('one') IS NOT NULL AS one, to_regclass('two') IS NOT NULL AS two"
    assert dict(sql(empty_database, tables)[0]) == {"one": True, "two": False}
    mended = Migration(2, "mended", "CREATE TABLE two ()")
    assert "applied now: 2 mended" in asyncio.run(migrate(settings, 5, [one, mended]))
    assert dict(sql(empty_database, tables)[0]) == {"one": True, "two": True}


def test_migration_waits_for_the_database(own_server: Callable[..., PostgresServer]) -> None:
    server = own_server()
    process = subprocess.Popen(
        [sys.executable, "-m", "addressbook", "migrate", "--wait", "50"],
        env=command_environment(server.environment),
        stdout=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)  # nobody listens yet: it must not have given up
    server.start()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "applied now" in output
