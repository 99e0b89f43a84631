"""Arguments that commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from promotion.errors import MEANINGS

#: argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
Run: TypeAlias = Callable[[argparse.Namespace], int]
#: Seconds that a bare `--wait` waits: longer than a rollout may take.
WAIT_SECONDS = 600


def command(commands: Commands, name: str, run: Run, what: str, example: str = "") -> argparse.ArgumentParser:
    """Add a command: ``what`` is its help, ``example`` follows its name in the example; ``--stack`` comes with it.

    ``run`` gets the options and returns the exit code.
    """
    shown = f"python -m promotion {name} --stack dev {example}".rstrip()
    parser = commands.add_parser(name, help=what, description=what, epilog=f"example: {shown}; {MEANINGS}")
    parser.add_argument("--stack", default="dev", help="name of the stack (default: %(default)s)")
    parser.set_defaults(run=run)
    return parser


def output_argument(parser: argparse.ArgumentParser) -> None:
    """``--output json`` for scripts: one JSON document on standard output, all else on standard error."""
    parser.add_argument("--output", choices=["text", "json"], default="text", help="form of the answer")


def wait_argument(parser: argparse.ArgumentParser) -> None:
    """``--wait``, for commands that only one can run at a time."""
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        const=WAIT_SECONDS,
        default=0,
        metavar="SECONDS",
        help="wait for somebody else who is at work on the stack (default without SECONDS: %(const)s)",
    )


def change_arguments(parser: argparse.ArgumentParser, *, config_alone: bool = True) -> None:
    """What every command has that edits the stack file and runs an update."""
    parser.add_argument("--yes", "-y", action="store_true", help="don't ask; nothing is asked without a terminal")
    parser.add_argument("--message", "-m", metavar="TEXT", help="why; kept in the stack's history and the commit")
    if config_alone:
        parser.add_argument(
            "--only-config", action="store_true", help="edit the stack file, for a pull request, and stop"
        )
    parser.add_argument("--commit", action="store_true", help="commit the stack file, and nothing else")
    wait_argument(parser)
    output_argument(parser)


def force_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """``--force``, which the history tells of."""
    parser.add_argument("--force", action="store_true", help=f"{what}; the stack's history says so")


def keep_argument(parser: argparse.ArgumentParser) -> None:
    """``--keep``, for commands that take back a canary by themselves."""
    parser.add_argument("--keep", action="store_true", help="leave a canary that fails where it is, to look at it")
