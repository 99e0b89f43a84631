"""Arguments that commands share."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeAlias, TypeVar

from promotion.errors import EXIT_CODES

#: argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
OptionsT = TypeVar("OptionsT")
#: Seconds that a bare `--wait` waits: longer than a rollout may take.
WAIT_SECONDS = 600
#: Columns of a help text.
HELP_WIDTH = 80
#: Longest duration, in days: far above any use, and far below what a date can hold.
LONGEST_DAYS = 3650
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_command(
    commands: Commands,
    name: str,
    operation: Callable[[OptionsT], int],
    options: type[OptionsT],
    summary: str,
    example: str = "",
    *,
    stack: bool = True,
) -> argparse.ArgumentParser:
    """Add a command that calls ``operation`` with its arguments as ``options``, a dataclass.

    ``example`` has the arguments of the example in the help text. ``stack``: add the argument ``--stack``.
    """
    shown = " ".join(["python -m promotion", name, *(["--stack dev"] if stack else []), example]).rstrip()
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(f"{summary[0].upper()}{summary[1:]}.", HELP_WIDTH),
        epilog=f"example: {shown}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if stack:
        parser.add_argument("--stack", type=text, default="dev", help="name of the stack (default: %(default)s)")

    def run(arguments: argparse.Namespace) -> int:
        names = {field.name for field in fields(options)}  # pyright: ignore[reportArgumentType] it is a dataclass
        values: dict[str, Any] = {key: value for key, value in vars(arguments).items() if key in names}
        return operation(options(**values))

    parser.set_defaults(run=run)
    return parser


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``: with ``json``, standard output has one JSON document, and all else goes to standard error."""
    parser.add_argument("--output", choices=["text", "json"], default="text", help="form of the result")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add ``--wait``, for commands that need the stack to themselves."""
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        const=WAIT_SECONDS,
        default=0,
        metavar="SECONDS",
        help="wait for another command on the stack to end (default without SECONDS: %(const)s)",
    )


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add ``--yes``."""
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask; without a terminal nothing is asked")


def add_change(parser: argparse.ArgumentParser, *, only_config: bool = True) -> None:
    """Add the arguments of every command that edits the stack file and updates the stack."""
    add_yes(parser)
    parser.add_argument(
        "--message", "-m", type=text, metavar="TEXT", help="the reason, for the stack's history and the commit"
    )
    if only_config:
        parser.add_argument(
            "--only-config", action="store_true", help="edit the stack file and stop, for a pull request"
        )
    parser.add_argument("--commit", action="store_true", help="commit the stack file and nothing else")
    add_with_platform(parser)
    add_wait(parser)
    add_output(parser)


def add_with_platform(parser: argparse.ArgumentParser) -> None:
    """Add ``--with-platform``, for commands that change the release."""
    parser.add_argument(
        "--with-platform",
        action="store_true",
        help="also apply changes of the platform (cluster, nodes, database, …) in the same update",
    )


def add_force(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--force``, which the stack's history records."""
    parser.add_argument("--force", action="store_true", help=f"{what}; the stack's history records it")


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Add ``--keep``, for commands that roll back a canary by themselves."""
    parser.add_argument("--keep", action="store_true", help="do not roll back a canary that fails, for debugging")


def text(value: str) -> str:
    """Return the value of an option. Refuse an empty one, which usually comes from a script's unset variable."""
    if not value.strip():
        raise argparse.ArgumentTypeError("is empty, perhaps from an unset variable: give a value, or omit the option")
    return value


def weight(value: str) -> str:
    """Return a percentage below 100 with at most one decimal, as the config has it. All users need a verdict."""
    if not re.fullmatch(r"\d?\d(\.\d)?", value):
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a percentage from 0 to 99.9 with at most one decimal; `traffic canary` gives the"
            " canary all users"
        )
    return f"{float(value):g}"


def seconds(value: str) -> float:
    """Return the seconds of a duration such as ``90s``, ``5m`` or ``1.5h``; a bare number is in seconds."""
    duration = seconds_or_zero(value)
    if not duration:
        raise argparse.ArgumentTypeError(f"{value!r} is not a duration: write 90s, 5m, 12h or 3d")
    return duration


def seconds_or_zero(value: str) -> float:
    """Return the seconds of a duration as ``seconds`` does, but allow 0."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"{value!r} is not a duration: write 90s, 5m, 12h or 3d")
    duration = float(match[1]) * UNITS.get(match[2], 1)
    if duration > LONGEST_DAYS * UNITS["d"]:
        raise argparse.ArgumentTypeError(f"{value!r} is too long: give {LONGEST_DAYS}d at most")
    return duration
