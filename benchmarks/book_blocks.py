"""The book's pipeline for the same service, with plain docker: blocks of jobs, each job on its own machine.

As in the book, one job builds the image on the previous one's layers and pushes it. Three test jobs pull it and run
their commands in it. The last job pulls it, tags it `latest` and pushes that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machines import Machines, free_port, run

DOCKERFILE = Path(__file__).with_name("book_blocks.Dockerfile")
BUILD, UNIT, FUNCTIONAL, INTEGRATION, PUSH = "build", "unit", "functional", "integration", "push"
#: Jobs of one block, which the book runs in parallel.
TESTS = (UNIT, FUNCTIONAL, INTEGRATION)
DATABASE_IMAGE = "postgres:15-bookworm"
#: The same checks as in the test stage of app/Dockerfile.
LINT = "ruff check --no-cache . && ruff format --no-cache --check ."
UNIT_TESTS = "pytest -p no:cacheprovider tests/test_settings.py tests/test_forms.py"
ALL_TESTS = "pytest -p no:cacheprovider tests"


@dataclass(frozen=True)
class Command:
    """A docker command, and the part of the pipeline that its time counts for; some may fail."""

    part: str
    arguments: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True)
class Timed:
    """Time of one command, in seconds."""

    job: str
    part: str
    seconds: float


def jobs(repository: str, tag: str, context: Path, port: int) -> dict[str, list[Command]]:
    """Return each job's commands; the database listens on ``port``."""
    image, latest = f"{repository}:{tag}", f"{repository}:latest"
    database = {"DB_HOST": "127.0.0.1", "DB_PORT": str(port), "DB_SSL": "false"}
    database |= {"DB_SCHEMA": "addressbook", "DB_USER": "addressbook", "DB_PASSWORD": "of-a-throw-away-database"}
    tests = {f"TEST_{name}": value for name, value in database.items()}
    pull = Command("transfer", ("pull", image))
    # BuildKit's `--cache-from` needs the cache metadata in the image: a pulled image alone is no cache.
    build = ("build", "--network", "host", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "--cache-from", latest)
    return {
        BUILD: [
            Command("transfer", ("pull", latest), optional=True),
            Command("image", (*build, "--file", str(DOCKERFILE), "--tag", image, str(context))),
            Command("transfer", ("push", image)),
        ],
        UNIT: [
            pull,
            Command("image", _in(image, {}, "sh", "-c", LINT)),
            Command("image", _in(image, {}, *UNIT_TESTS.split())),
        ],
        FUNCTIONAL: [
            pull,
            *_database(database),
            Command("database", _in(image, database, "addressbook", "ping")),
            Command("database", _in(image, database, "addressbook", "migrate")),
        ],
        INTEGRATION: [
            pull,
            *_database(database),
            # Unlike the book's, this service's test needs the tables to exist.
            Command("database", _in(image, database, "addressbook", "migrate")),
            Command("database", _in(image, database, "addressbook", "test")),
            Command("integration", _in(image, tests, *ALL_TESTS.split())),
        ],
        PUSH: [pull, Command("rest", ("tag", image, latest)), Command("transfer", ("push", latest))],
    }


def timed(machines: Machines, docker: str, tag: str, context: Path, environment: Mapping[str, str]) -> list[Timed]:
    """Run all jobs in sequence; return each command's seconds, without the start of machines."""
    taken: list[Timed] = []
    for job, commands in jobs(f"{machines.registry}/book", tag, context, free_port()).items():
        with machines.machine(f"book-{job}") as engine:
            for command in commands:
                began = time.perf_counter()
                try:
                    run([docker, *command.arguments], context, {**environment, **engine})
                except ValueError:
                    if not command.optional:
                        raise
                taken.append(Timed(job, command.part, time.perf_counter() - began))
    return taken


def side_by_side(taken: list[Timed]) -> float:
    """Return the total seconds if the test jobs ran in parallel."""
    of = {job: sum(each.seconds for each in taken if each.job == job) for job in (BUILD, *TESTS, PUSH)}
    return of[BUILD] + max(of[job] for job in TESTS) + of[PUSH]


def _in(image: str, variables: Mapping[str, str], *command: str) -> tuple[str, ...]:
    given = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    return "run", "--rm", "--network", "host", *given, image, *command


def _database(settings: Mapping[str, str]) -> list[Command]:
    """Start a PostgreSQL, configured like the other pipeline's, and wait until it answers."""
    port, user = settings["DB_PORT"], settings["DB_USER"]
    given = {"USER": user, "PASSWORD": settings["DB_PASSWORD"], "DB": settings["DB_SCHEMA"]}
    variables = [part for name, value in given.items() for part in ("--env", f"POSTGRES_{name}={value}")]
    listening = ("postgres", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
    ready = f"until pg_isready -h 127.0.0.1 -p {port} -U {user}; do sleep 0.3; done"
    started = ("run", "--detach", "--rm", "--network", "host", "--name", "database", *variables)
    return [
        Command("rest", (*started, DATABASE_IMAGE, *listening)),
        Command("rest", ("exec", "database", "timeout", "60", "sh", "-c", ready)),
    ]
