"""``unstack``: take a release stack away, and nothing else."""

from __future__ import annotations

import argparse

from promotion.arguments import Commands, wait_argument
from promotion.errors import DONE, MEANINGS
from promotion.operations.work import Work, wait_seconds, working
from promotion.state import engine as stacks
from promotion.state.release_stack_file import refuse_lasting
from promotion.state.stack_file import StackFile


def register(commands: Commands) -> None:
    what = "destroy a release stack, with its namespace, its database and its file; its platform stays"
    example = "example: python -m promotion unstack --name feature-x"
    parser = commands.add_parser("unstack", help=what, description=what, epilog=f"{example}; {MEANINGS}")
    parser.add_argument("--name", dest="stack", required=True, help="name of the release stack")
    wait_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    refuse_lasting(options.stack, StackFile.of(options.stack))
    with working(options, "unstack") as work:
        refuse_lasting(work.name, work.file)
        _destroy(work)
        work.file.path.unlink()
        work.say(f"stack `{work.name}` and {work.file.path.name} are gone; the platform is as it was")
    return DONE


def _destroy(work: Work) -> None:
    try:
        stack = work.stack
    except stacks.MissingStackError:  # its making was cut off before there was one
        work.say(f"stack `{work.name}` has never been made; its file alone is there")
        return
    stacks.down(stack, wait_seconds(work.options))
