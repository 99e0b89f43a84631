"""Run a job of a workflow file step by step, as GitHub does: commands, shell, conditions and outputs.

Steps that use an action (checkout, setup) are skipped: prepare their results first.
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
#: GitHub's definition of `shell: bash`, and of the default shell (GitHub documentation).
SHELLS = {"bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"), "": ("bash", "-e", "-c")}


@dataclass(frozen=True)
class Step:
    """A command with its environment, and the output of an earlier step that it depends on."""

    id: str
    command: str
    shell: tuple[str, ...]
    environment: Mapping[str, str]
    condition: tuple[str, str, str] | None


@dataclass(frozen=True)
class Ran:
    """A finished step: its command, seconds until its end and its first line, its output and the outputs it set."""

    command: str
    seconds: float
    first: float
    output: str
    outputs: Mapping[str, str]


def steps(file: Path, job: str, values: Mapping[str, str]) -> list[Step]:
    """Return the job's commands; ``values`` fill its expressions. Raises ValueError if one is missing."""
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
    """Run steps in sequence; ``output`` is the file for GITHUB_OUTPUT. Raises ValueError if one fails."""
    known: dict[str, Mapping[str, str]] = {}
    for step in commands:
        if step.condition:
            of, name, wanted = step.condition
            if known.get(of, {}).get(name) != wanted:
                continue
        output.write_text("")
        began = time.perf_counter()
        finished = run(
            [*step.shell, step.command], folder, {**environment, **step.environment, "GITHUB_OUTPUT": str(output)}
        )
        seconds = time.perf_counter() - began
        known[step.id] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        yield Ran(step.command, seconds, finished.first, finished.text, known[step.id])


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ValueError(f"the workflow uses expression {found[1]!r}, which has no value here")
        return values[found[1]]

    return EXPRESSION.sub(value, text)


def _shell(*described: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the first of step, job and workflow that sets a shell."""
    step, *outer = described
    named = [step.get("shell", ""), *(each.get("defaults", {}).get("run", {}).get("shell", "") for each in outer)]
    shell = next(filter(None, named), "")
    if shell not in SHELLS:
        raise ValueError(f"the workflow uses shell {shell!r}, which is not supported here")
    return SHELLS[shell]


def _condition(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    found = CONDITION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"the workflow uses condition {text!r}, which is not supported here")
    return found[1], found[2], found[3]
