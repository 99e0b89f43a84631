"""The command line: parse the arguments, run one operation, and turn errors into exit codes."""

from __future__ import annotations

import argparse
import signal
import sys
import tomllib
from collections.abc import Sequence

from contract.project import PROJECT_ROOT
from promotion import commands
from promotion.errors import EXIT_CODES, INTERRUPTED, CommandError

#: In the order of a release.
COMMANDS = (
    *(commands.add_up, commands.add_preview, commands.add_down),
    *(commands.add_canary, commands.add_verdict, commands.add_promote, commands.add_rollback),
    *(commands.add_undo, commands.add_release, commands.add_traffic),
    *(commands.add_status, commands.add_history, commands.add_diagnose),
    *(commands.add_stack, commands.add_unstack),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job ends as cleanly as Ctrl-C does
    try:
        return options.run(options)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("error: interrupted. Run the command again to continue, or `rollback` to undo", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m promotion",
        description="Release a service in steps. Each step edits the stack file and updates the stack.",
        epilog=f"example: python -m promotion up --stack dev\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(subparsers)
    return parser


def _version() -> str:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name']} {project['version']}"
