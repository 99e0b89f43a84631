"""Measure the time from lint to the pushed image, against the book's pipeline for the same service.

A commit that changes one line of the service is delivered twice. The commands of .github/workflows/main.yaml, read from
that file, lint and test the whole checkout, then build the image once, test it and push it, all in one job. The book's
blocks, with plain docker, build and push an image, pull it in three test jobs, pull it again, tag it and push it. The
last commit of this checkout is measured, in a clone.

Real: both pipelines' commands, separate Docker Engines, a registry, PostgreSQL. Simulated: the jobs' machines, which
are engines on this machine, and the network to the registry, which is loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import book_blocks, workflow
from benchmarks.machines import PROGRAMS, Machines, answers, machines, run
from benchmarks.paired import Samples, machine
from benchmarks.startup import ROOT, UsageError
from lab.layout import Lab
from pipeline import docker, errors

THIS, BOOK = "workflow", "book"
FILE, JOB = ".github/workflows/main.yaml", "image"
#: Parts of the total time; steps that belong to none of them count as the rest.
PARTS = {
    "program": "lint, types, unit tests of the checkout",
    "image": "image built; its lint and unit tests",
    "database": "ping, migrate, database test",
    "integration": "integration tests",
    "transfer": "pushes and pulls",
    "rest": "start of PostgreSQL, and the rest",
}
PART_OF = {
    "make lint": "program",
    "make unit": "program",
    "lint and unit tests": "image",
    "image": "image",
    "ping": "database",
    "migrate": "database",
    "test": "database",
    "integration tests": "integration",
    "push": "transfer",
    "cache": "transfer",
}
#: How `make image` prints the seconds of each step.
STEP = re.compile(r"^== (?P<name>.+): (?P<seconds>[\d.]+) s$", re.MULTILINE)
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
#: Figures of a run, in the table's order.
WHOLES = {
    "lint": "until the linter has spoken",
    "total": "all, one job after the other",
    "side_by_side": "all, jobs of one block side by side",
    "service": "all but the checkout's own tests",
}
EXAMPLE = """\
example:
  make up                                             # a lab, for its registry of base images; as root
  .venv/bin/python -m benchmarks.delivery --rounds 5 --output json
"""


@dataclass(frozen=True)
class Taken:
    """Seconds of one delivery: until the linter finished, by part, and with the jobs in parallel."""

    lint: float
    parts: Mapping[str, float]
    side_by_side: float

    @property
    def figures(self) -> dict[str, float]:
        total = sum(self.parts.values())
        service = total - self.parts["program"]
        return {**self.parts, "lint": self.lint, "total": total, "side_by_side": self.side_by_side, "service": service}


def main() -> int:
    """Return the exit code: 0 measured, 1 a delivery failed, 2 invalid use, 130 interrupted."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        client = _checked(arguments)
        with machines(arguments.mirror, kept=arguments.machines == "kept") as found:
            taken = _rounds(found, client, arguments.rounds)
    except (UsageError, errors.UsageError) as error:
        return _ended(str(error), 2)
    except ValueError as error:
        return _ended(str(error), 1)
    except KeyboardInterrupt:
        return _ended("interrupted; everything it created was removed", 130)
    settings = {"rounds": arguments.rounds, "machines": arguments.machines, "revision": _git(ROOT, "rev-parse", "HEAD")}
    report = {"machine": machine(), **settings, "figures": figures(taken)}
    print(json.dumps(report, indent=2) if arguments.output == "json" else table(report))
    return 0


def _ended(error: str, code: int) -> int:
    print(f"benchmarks.delivery: {error}", file=sys.stderr)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.delivery",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds, 1 or more (default: 3)")
    parser.add_argument(
        "--machines",
        choices=("kept", "new"),
        default="kept",
        help="jobs start with the previous round's layers (default), or empty, as on a hosted runner",
    )
    parser.add_argument(
        "--mirror", default=Lab.from_environment().registry, help="registry of base images (default: the lab's)"
    )
    parser.add_argument("--output", choices=("text", "json"), default="text", help="table or JSON (default: text)")
    return parser.parse_args()


def _checked(arguments: argparse.Namespace) -> str:
    """Return the docker command that supports BuildKit. Raises UsageError before anything starts."""
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: use 1 or more")
    for command in ("git", "make", "jq", *PROGRAMS):
        if shutil.which(command) is None:
            raise UsageError(
                f"{command} is not on PATH: `make up` installs the lab's programs; install jq, git and make yourself"
            )
    if os.geteuid() != 0:
        raise UsageError("starting Docker Engines needs root: run it with sudo")
    if not answers(arguments.mirror):
        raise UsageError(f"--mirror {arguments.mirror}: no registry answers there; `make up` starts the lab's")
    if subprocess.run(["make", "--question", ".venv/ready"], cwd=ROOT, capture_output=True).returncode:
        raise UsageError(".venv is older than the requirements: run `make .venv/ready`")
    if subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True).returncode:
        raise UsageError(f"{ROOT} is not a Git checkout with a commit, which the benchmark delivers")
    return docker.client()


def _rounds(found: Machines, client: str, rounds: int) -> dict[str, list[Taken]]:
    """Run each pipeline once per round, alternating, with a new commit. The first round only fills caches."""
    copy = _clone(found.folder / "checkout")
    environment = _environment(found)
    taken: dict[str, list[Taken]] = {THIS: [], BOOK: []}
    for number in range(rounds + 1):
        _tell(f"round {number} of {rounds}" if number else "a round that does not count")
        _commit(copy, number)
        for name in sorted(taken, reverse=bool(number % 2)):
            if name == THIS:
                one = _by_workflow(found, copy, environment)
            else:
                one = by_book(book_blocks.timed(found, client, f"round-{number}", copy / "app", environment))
            _tell(f"  {name}: " + ", ".join(f"{part} {seconds:.1f} s" for part, seconds in one.figures.items()))
            taken[name] += [one] if number else []
    return taken


def _clone(copy: Path) -> Path:
    """Clone the last commit, with this checkout's Python packages, like CI with a warm cache."""
    run(["git", "clone", "--quiet", str(ROOT), str(copy)], ROOT, os.environ)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    for file in (*copy.glob("requirements*.txt"), *copy.glob("*/requirements*.txt")):
        os.utime(file, (0, 0))  # a clone's files are newer, so make would reinstall this checkout's packages
    if subprocess.run(["make", "--question", ".venv/ready"], cwd=copy, capture_output=True).returncode:
        raise ValueError("make still considers the clone's packages out of date")
    return copy


def _commit(copy: Path, number: int) -> None:
    with (copy / "app" / "addressbook" / "__init__.py").open("a") as file:
        file.write(f"# The benchmark's change {number}.\n")
    author = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.invalid")
    _git(copy, *author, "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--all", "--message", f"change {number}")


def _git(folder: Path, *arguments: str) -> str:
    return run(["git", *arguments], folder, os.environ).text.strip()


def _environment(found: Machines) -> dict[str, str]:
    """Return the user's environment without the variables of a lab or stack, which a CI runner does not have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "DOCKER_", "MAKE"))}
    kept.pop("KUBECONFIG", None)
    return {
        **kept,
        "CONTEXT": "none",  # otherwise `lab env` selects the lab's Docker Engine
        "XDG_STATE_HOME": str(found.folder / "state"),
        "GITHUB_ACTOR": "benchmark",
    }


def _by_workflow(found: Machines, copy: Path, environment: Mapping[str, str]) -> Taken:
    values = {
        "vars.REGISTRY": f"{found.registry}/team",
        "vars.REGISTRY && '--attest'": "",  # the book's pipeline attests nothing either
        "vars.SIGNING_KEY": "",
        "secrets.COSIGN_PRIVATE_KEY": "",
        "secrets.COSIGN_PASSWORD": "",
        "github.token": "of-a-registry-without-login",
        "vars.REGISTRY_USER": "",
        "secrets.REGISTRY_PASSWORD": "",
        "secrets.DIGITALOCEAN_ACCESS_TOKEN": "",
        "github.event.before || 'HEAD'": _git(copy, "rev-parse", "HEAD~1"),
        "github.event_name == 'workflow_dispatch' && '--new-image' || ''": "",
    }
    steps = workflow.steps(copy / FILE, JOB, values)
    with found.machine(THIS) as engine:
        return by_workflow(list(workflow.ran(steps, copy, {**environment, **engine}, found.folder / "output")))


def by_workflow(ran: Sequence[workflow.Ran]) -> Taken:
    """Return the seconds of the workflow's steps. Raises ValueError if no image was pushed."""
    parts = dict.fromkeys(PARTS, 0.0)
    lint = 0.0
    for step in ran:
        if step.command == "make lint":  # linter, then types
            lint = sum(parts.values()) + step.first
        parts[PART_OF.get(step.command, "rest")] += step.seconds
        for inner in STEP.finditer(step.output):
            seconds = float(inner["seconds"])
            parts[PART_OF.get(inner["name"], "rest")] += seconds
            parts["rest"] -= seconds
    last = ran[-1]
    if not lint or not PINNED.fullmatch(last.outputs.get("image", "")):
        raise ValueError(f"the job did not run `make lint` or ended without an image: {last.output.strip()[-3000:]}")
    return Taken(lint, parts, sum(parts.values()))


def by_book(taken: Sequence[book_blocks.Timed]) -> Taken:
    """Return the seconds of the book's jobs."""
    parts = {part: sum(each.seconds for each in taken if each.part == part) for part in PARTS}
    spoken = next(at for at, each in enumerate(taken) if (each.job, each.part) == (book_blocks.UNIT, "image"))
    lint = sum(each.seconds for each in taken[: spoken + 1])
    return Taken(lint, parts, book_blocks.side_by_side(list(taken)))


def figures(taken: Mapping[str, Sequence[Taken]]) -> dict[str, Any]:
    """Return the spread of both pipelines' seconds and of their ratio per round, for each part and the total."""
    found: dict[str, Any] = {}
    for figure in (*PARTS, *WHOLES):
        samples = Samples({name: [one.figures[figure] for one in rounds] for name, rounds in taken.items()})
        found[figure] = {name: samples.spread(name).as_json() for name in (THIS, BOOK)}
        if min(samples.seconds[BOOK]) > 0:
            found[figure]["ratio"] = samples.ratio(THIS, BOOK).as_json()
    return found


def table(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"seconds, {report['rounds']} rounds, machines {report['machines']}: median (least - most)"]
    lines.append(f"{'':<42}" + "".join(f"{column:>24}" for column in (THIS, BOOK, "ratio")))
    for figure, meaning in {**PARTS, **WHOLES}.items():
        found = report["figures"][figure]
        cells = (_cell(found[THIS], 1), _cell(found[BOOK], 1), _cell(found.get("ratio"), 2))
        lines.append(f"{meaning:<42}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


def _cell(spread: Mapping[str, float] | None, digits: int) -> str:
    if not spread:
        return "-"
    return f"{spread['median']:.{digits}f} ({spread['least']:.{digits}f} - {spread['most']:.{digits}f})"


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
