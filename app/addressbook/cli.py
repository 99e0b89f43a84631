"""The command line: `addressbook serve|ping|migrate|test`."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from types import FrameType

from addressbook import logs
from addressbook.database import FAILURES, Unavailable, connect, explain
from addressbook.roundtrip import RoundTripError, round_trip
from addressbook.schema import migrate, migrations
from addressbook.settings import Settings, SettingsError

OK, FAILED, MISUSED = 0, 1, 2
DEFAULT_WAIT_SECONDS = 60.0

_ENVIRONMENT = """\
environment:
  DB_HOST, DB_SCHEMA (the database's name), DB_USER, DB_PASSWORD   mandatory
  DB_PORT=5432  DB_SSL=false  DB_CA (PEM text; unset: the system's authorities)  DB_POOL_SIZE=4
  PORT=3000  METRICS_PORT=9464  LISTEN_ADDRESS=::  DRAIN_SECONDS=10
  LOG_LEVEL=INFO  NODE_ENV=development
  OTEL_EXPORTER_OTLP_ENDPOINT and OpenTelemetry's other variables: send traces (unset: none)
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Return 0, 1 if it failed, 2 for wrong arguments or settings."""
    # As a container's first process this one would otherwise ignore SIGTERM until it serves.
    signal.signal(signal.SIGTERM, _terminate)
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return MISUSED
    try:
        return options.command(settings, options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="addressbook",
        description="Stores persons in PostgreSQL and serves them over HTTP.",
        epilog=_ENVIRONMENT + "\nexample:\n  addressbook migrate && addressbook serve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: object, purpose: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=purpose,
            description=purpose,
            epilog=f"{_ENVIRONMENT}\nexample:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command)
        return sub

    add("serve", _serve, "Serve the addressbook until SIGTERM.", "PORT=8080 addressbook serve")
    add("ping", _ping, "Say whether the database can be reached; exit code 0 or 1.", "addressbook ping")
    migration = add(
        "migrate",
        _migrate,
        "Create the tables, or bring them up to date. May run twice, or beside another one.",
        "addressbook migrate --wait 120",
    )
    migration.add_argument(
        "--wait",
        type=_seconds,
        default=DEFAULT_WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for the database and for other migrations (%(default)s)",
    )
    add("test", _test, "Create, read and delete a person in the database.", "addressbook test")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds


def _terminate(sig: int, _frame: FrameType | None) -> None:
    sys.exit(128 + sig)


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    from addressbook.server import serve  # the other commands need no web server

    logs.configure(settings.log_level)
    try:
        serve(settings)
    except OSError as error:
        print(
            f"Can't listen on {settings.listen_address}, ports {settings.port} and {settings.metrics_port}: "
            f"{error.strerror}. Set PORT, METRICS_PORT or LISTEN_ADDRESS to ones that are free.",
            file=sys.stderr,
        )
        return FAILED
    return OK


def _ping(settings: Settings, _options: argparse.Namespace) -> int:
    async def ping() -> str:
        connection = await connect(settings.database)
        try:
            await connection.execute("SELECT 1")
        finally:
            connection.terminate()
        return "The database answers."

    return _report(settings, ping())


def _migrate(settings: Settings, options: argparse.Namespace) -> int:
    return _report(settings, migrate(settings.database, options.wait, migrations()))


def _test(settings: Settings, _options: argparse.Namespace) -> int:
    return _report(settings, round_trip(settings))


def _report(settings: Settings, work: Coroutine[object, object, str]) -> int:
    """Run `work` and print its result, or what its failure means."""
    where = f"{settings.database.name} at {settings.database.host}:{settings.database.port}"
    try:
        print(f"{where}: {asyncio.run(work)}")
    except (Unavailable, *FAILURES) as error:
        print(f"{where}: {explain(error)}", file=sys.stderr)
    except RoundTripError as error:
        print(f"{where}: {error}", file=sys.stderr)
    else:
        return OK
    return FAILED
