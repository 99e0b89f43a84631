"""``history``: who moved what when."""

from __future__ import annotations

import argparse
import json

from promotion.arguments import Commands, command, output_argument
from promotion.errors import DONE
from promotion.operations.timeline import moves, moves_json, moves_text
from promotion.state import engine as stacks
from promotion.state import history
from promotion.state.git import commits
from promotion.state.stack_file import StackFile

#: Entries that are shown without --all.
SHOWN = 20


def register(commands: Commands) -> None:
    parser = command(commands, "history", run, "show who moved what when, by the stack's updates and Git", "--all")
    parser.add_argument("--all", action="store_true", help=f"from the stack's beginning, not the last {SHOWN} alone")
    output_argument(parser)


def run(options: argparse.Namespace) -> int:
    stack = stacks.selected(options.stack)
    updates = history.updates(stack)
    releases = history.releases_of(updates)
    limit = None if options.all else SHOWN
    found = moves(updates, commits(StackFile.of(options.stack), limit))[:limit]
    if options.output == "json":
        print(json.dumps(moves_json(options.stack, found, releases), indent=2))
    else:
        print(moves_text(options.stack, found, releases))
    return DONE
