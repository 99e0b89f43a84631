"""Measure the service under load beside the book's: Express and Sequelize, one process each, on one PostgreSQL.

The contenders take turns. pgbench runs the same statements without a service, which no service can beat.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "app"), str(ROOT / "app" / "tests")]

from addressbook_testing.postgres import NoPostgres  # noqa: E402
from addressbook_testing.service import run_command  # noqa: E402

from benchmarks.app.contenders import HERE, OPERATIONS, SERVICE, Contender, Database, Load, running  # noqa: E402
from benchmarks.paired import Samples, Spread, machine  # noqa: E402

THIS, BOOK = "this service", "book"
EXAMPLE = """\
example:
  python -m benchmarks.app --rounds 9 --output json
"""


class UsageError(Exception):
    """Invalid use or a missing prerequisite."""


def main() -> int:
    """Return the exit code: 0 measured, 1 a service failed under load, 2 invalid use."""
    arguments = _arguments()
    try:
        _check(arguments)
        report = _measure(arguments.rounds, arguments.seconds, arguments.clients)
    except (UsageError, NoPostgres) as error:
        print(f"benchmarks.app: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"benchmarks.app: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, indent=2) if arguments.output == "json" else _table(report))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.app",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, 1 or more (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of each run (default: 3)")
    parser.add_argument("--clients", type=int, default=16, help="connections that send requests (default: 16)")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="table or JSON (default: text)")
    return parser.parse_args()


def _check(arguments: argparse.Namespace) -> None:
    for name in ("rounds", "seconds", "clients"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} is {getattr(arguments, name)}: use 1 or more.")
    for tool, package in (("wrk", "wrk"), ("node", "nodejs"), ("npm", "npm")):
        if not shutil.which(tool):
            raise UsageError(f"{tool} is not on PATH: install the package {package}.")


def _measure(rounds: int, seconds: int, clients: int) -> dict[str, Any]:
    express = HERE / "express"
    subprocess.run(["npm", "ci", "--silent"], cwd=express, check=True)
    with Database() as database:
        migration = run_command("migrate", environment=database.environment)
        if migration.returncode:
            raise ValueError(migration.stderr)
        with (
            running([sys.executable, "-m", "addressbook", "serve"], SERVICE, database.environment) as this,
            running(["node", "server.js"], express, database.environment) as book,
        ):
            contenders = {THIS: this, BOOK: book}
            loads, bare = _rounds(database, contenders, rounds, seconds, clients)
            memory = {name: contender.memory() for name, contender in contenders.items()}
    return {
        "machine": machine(),
        "rounds": rounds,
        "memory_mib": {name: round(size / 2**20, 1) for name, size in memory.items()},
        "operations": {name: _figures(loads[name], bare[name]) for name in OPERATIONS},
    }


def _rounds(
    database: Database, contenders: Mapping[str, Contender], rounds: int, seconds: int, clients: int
) -> tuple[dict[str, dict[str, list[Load]]], dict[str, list[float]]]:
    """Run every operation with each contender in rotating order. The first round does not count."""
    loads: dict[str, dict[str, list[Load]]] = {name: {each: [] for each in contenders} for name in OPERATIONS}
    bare: dict[str, list[float]] = {name: [] for name in OPERATIONS}
    order = list(contenders)
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}" if number else "a round that does not count", file=sys.stderr)
        order.append(order.pop(0))
        for name, operation in OPERATIONS.items():
            database.reset()
            for each in order:
                load = contenders[each].load(operation, seconds, clients)
                if number:
                    loads[name][each].append(load)
            if number:
                bare[name].append(database.bare(operation, seconds))
    return loads, bare


def _figures(loads: Mapping[str, list[Load]], bare: list[float]) -> dict[str, Any]:
    def samples(figure: str) -> Samples:
        return Samples(
            {name: [getattr(load, figure) for load in each] for name, each in loads.items()} | {"bare": bare}
        )

    seconds, p99, processor = samples("seconds"), samples("p99"), samples("processor")
    return {
        "requests_per_second": {
            name: Spread.of([1 / each for each in seconds.seconds[name]]).as_json() for name in (*loads, "bare")
        },
        "p99_milliseconds": {name: Spread.of([1000 * each for each in p99.seconds[name]]).as_json() for name in loads},
        "processor_microseconds": {
            name: Spread.of([1e6 * each for each in processor.seconds[name]]).as_json() for name in loads
        },
        "times_the_book": seconds.ratio(BOOK, THIS).as_json(),
        "p99_of_the_book": p99.ratio(THIS, BOOK).as_json(),
        "processor_of_the_book": processor.ratio(THIS, BOOK).as_json(),
        "of_pgbench": seconds.ratio("bare", THIS).as_json(),
    }


def _table(report: Mapping[str, Any]) -> str:
    def spread(figure: Mapping[str, float], digits: int) -> str:
        return f"{figure['median']:.{digits}f} ({figure['least']:.{digits}f} - {figure['most']:.{digits}f})"

    lines = ["| | | requests/s | p99, ms | processor, µs |", "| --- | --- | --- | --- | --- |"]
    ratios = ["| | requests/s | p99 | processor | requests/s, of pgbench |", "| --- | --- | --- | --- | --- |"]
    for name, figures in report["operations"].items():
        for each in (THIS, BOOK):
            cells = [spread(figures["requests_per_second"][each], 0), spread(figures["p99_milliseconds"][each], 1)]
            cells.append(spread(figures["processor_microseconds"][each], 0))
            lines.append(f"|{f' {name} ' if each == THIS else ' '}| {each} | {' | '.join(cells)} |")
        lines.append(f"| | pgbench | {spread(figures['requests_per_second']['bare'], 0)} | | |")
        keys = ("times_the_book", "p99_of_the_book", "processor_of_the_book", "of_pgbench")
        ratios.append(f"| {name} | {' | '.join(spread(figures[key], 2) for key in keys)} |")
    memory = report["memory_mib"]
    sizes = f"Largest resident size: {memory[THIS]} MiB, book {memory[BOOK]} MiB: {memory[THIS] / memory[BOOK]:.2f}"
    return "\n".join([*lines, "", "This service divided by the book's:", "", *ratios, "", sizes])


if __name__ == "__main__":
    sys.exit(main())
