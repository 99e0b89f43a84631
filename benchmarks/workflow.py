"""A job of a workflow file, step by step as GitHub runs it: its commands, its shell, its conditions and outputs.

Steps that use an action (checkout, setup) are left out: what they prepare must be there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machines import run

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
CONDITION = re.compile(r"steps\.([\w-]+)\.outputs\.([\w-]+) == '([^']*)'")
#: What GitHub's documentation says that `shell: bash` is, and what runs where no shell is named.
SHELLS = {"bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"), "": ("bash", "-e", "-c")}


@dataclass(frozen=True)
class Step:
    """A command, the environment that the file gives it, and the output of an earlier step that it asks for."""

    id: str
    command: str
    shell: tuple[str, ...]
    environment: Mapping[str, str]
    condition: tuple[str, str, str] | None


@dataclass(frozen=True)
class Ran:
    """What a step's command was, its seconds, to its end and to its first line, what it said and set as outputs."""

    command: str
    seconds: float
    first: float
    said: str
    outputs: Mapping[str, str]


def steps(file: Path, job: str, values: Mapping[str, str]) -> list[Step]:
    """The job's own commands; ``values`` are of the expressions in it. Raises ValueError where one is missing."""
    document = yaml.safe_load(file.read_text())
    described = document["jobs"][job]
    common = {**document.get("env", {}), **described.get("env", {})}
    return [
        Step(
            each.get("id", ""),
            _filled(each["run"], values).strip(),
            _shell(each, described, document),
            {key: _filled(str(value), values) for key, value in {**common, **each.get("env", {})}.items()},
            _condition(each.get("if")),
        )
        for each in described["steps"]
        if "run" in each
    ]


def ran(commands: list[Step], folder: Path, environment: Mapping[str, str], output: Path) -> Iterator[Ran]:
    """Run them one after the other; ``output`` is a file for GITHUB_OUTPUT. Raises ValueError where one fails."""
    known: dict[str, Mapping[str, str]] = {}
    for step in commands:
        if step.condition:
            of, name, wanted = step.condition
            if known.get(of, {}).get(name) != wanted:
                continue
        output.write_text("")
        began = time.perf_counter()
        said = run(
            [*step.shell, step.command], folder, {**environment, **step.environment, "GITHUB_OUTPUT": str(output)}
        )
        seconds = time.perf_counter() - began
        known[step.id] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        yield Ran(step.command, seconds, said.first, said.text, known[step.id])


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ValueError(f"the workflow has the expression {found[1]!r}, for which there is no value here")
        return values[found[1]]

    return EXPRESSION.sub(value, text)


def _shell(*described: Mapping[str, Any]) -> tuple[str, ...]:
    """Of step, job and workflow the first that names one."""
    step, *outer = described
    named = [step.get("shell", ""), *(each.get("defaults", {}).get("run", {}).get("shell", "") for each in outer)]
    shell = next(filter(None, named), "")
    if shell not in SHELLS:
        raise ValueError(f"the workflow has the shell {shell!r}, which can't be run here")
    return SHELLS[shell]


def _condition(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    found = CONDITION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"the workflow has the condition {text!r}, which can't be decided here")
    return found[1], found[2], found[3]
