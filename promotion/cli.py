"""The command line: which commands there are."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from promotion.errors import INTERRUPTED, MEANINGS, CommandError

#: Modules of promotion/commands, in the order that a release takes.
COMMANDS = (
    *("up", "preview", "down"),
    *("canary", "verdict", "promote", "rollback", "release", "traffic"),
    *("status", "history", "diagnose"),
    *("stack", "unstack"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job ends as in order as Ctrl-C does
    try:
        return options.run(options)
    except CommandError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.code
    except KeyboardInterrupt:
        print(
            "error: interrupted; the same command again goes on from where things stand, `rollback` goes back",
            file=sys.stderr,
        )
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m promotion",
        description="Move a release along by its stack config.",
        epilog=f"example: python -m promotion up --stack dev; {MEANINGS}",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"promotion.commands.{name}").register(commands)
    return parser
