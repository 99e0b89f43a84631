"""``preview``: what an update would do; for a person, a script, or as the comment under a pull request."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from contract.errors import INVALID_CONFIG
from promotion.arguments import Commands, command
from promotion.errors import DONE, FAILED, WRONG_USE
from promotion.preview.comment import comment
from promotion.preview.planned import Plan, plan
from promotion.preview.revisions import with_revisions
from promotion.state import engine as stacks
from promotion.state.stack_file import StackFile


def register(commands: Commands) -> None:
    parser = command(
        commands, "preview", run, "show what `up` would do; nothing is changed", example="--output markdown"
    )
    parser.add_argument(
        "--output",
        choices=["text", "json", "markdown"],
        default="text",
        help="form of the answer; markdown is the comment under a pull request",
    )


def run(options: argparse.Namespace) -> int:
    planned = plan(stacks.selected(options.stack))
    if options.output != "text" and not planned.faults:
        planned = with_revisions(planned, StackFile.of(options.stack).values())
    match options.output:
        case "markdown":
            print(comment(planned))
        case "json":
            print(json.dumps(asdict(planned), indent=2, ensure_ascii=False))
        case _:
            print(
                planned.diff or "nothing would change",
                *planned.advice,
                *(f"error: {said}" for said in planned.faults),
                sep="\n",
            )
    return code(planned)


def code(plan: Plan) -> int:
    """Exit code of a plan: whether the update could begin."""
    if any(INVALID_CONFIG in fault for fault in plan.faults):
        return WRONG_USE
    return FAILED if plan.faults else DONE
