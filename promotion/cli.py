"""The command line: parse the arguments, run one operation, and turn errors into exit codes."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import tomllib
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import pairwise
from typing import Any, NoReturn, cast

from contract.project import PROJECT_ROOT
from promotion import commands
from promotion.arguments import Commands
from promotion.errors import EXIT_CODES, FAILED, INTERRUPTED, WRONG_USE, CommandError
from promotion.state.locks import LOCKS

#: In the order of a release.
COMMANDS = (
    *(commands.add_up, commands.add_preview, commands.add_down),
    *(commands.add_canary, commands.add_verdict, commands.add_promote, commands.add_rollback),
    *(commands.add_undo, commands.add_release, commands.add_traffic),
    *(commands.add_status, commands.add_dashboard, commands.add_history, commands.add_diagnose),
    *(commands.add_stack, commands.add_unstack, commands.add_prune),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    With ``--output json``, standard output has one JSON document and everything else is on standard error. If the
    command fails, the document has ``error`` and ``code``. With ``--watch``, each line is a document.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    fields: dict[str, Any] = {}
    if not _asks_for_json(arguments):
        return _run(arguments, fields)
    if any(argument.partition("=")[0] == "--watch" for argument in arguments):
        code = _run(arguments, fields)
        if "error" in fields:
            print(json.dumps(fields), flush=True)
        return code
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = _run(arguments, fields)
    print(json.dumps({**fields, **_document(printed.getvalue())}, indent=2, ensure_ascii=False))
    return code


def _run(arguments: Sequence[str], fields: dict[str, Any]) -> int:
    """Run one command and return its exit code; print its error.

    ``fields`` receives the command and its stack and, if it fails, ``error`` and ``code``.
    """

    def failed(message: str, code: int) -> int:
        fields.update(error=message, code=code)
        print(f"error: {message}", file=sys.stderr, flush=True)
        return code

    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job ends as cleanly as Ctrl-C does
        options = _parser().parse_args(arguments)
        fields.update({key: value for key, value in vars(options).items() if key in ("command", "stack")})
        code = options.run(options)
        sys.stdout.flush()
    except CommandError as error:
        return failed(str(error), error.code)
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # CI sends it after SIGINT
        return failed("interrupted. Run the command again to continue, or `rollback` to undo", INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # a bug: a sentence for the user, the traceback for a report
        return failed(_unexpected(error), FAILED)
    return code


def _unexpected(error: Exception) -> str:
    what = f"unexpected {type(error).__name__}: {error}"
    path = LOCKS / "traceback.txt"
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return what
    return f"{what}. Please report it with {path}"


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Return whether the arguments, which may be invalid, ask for a JSON document rather than for help."""
    if not {"-h", "--help", "--version"}.isdisjoint(arguments):
        return False
    return "--output=json" in arguments or ("--output", "json") in pairwise(arguments)


def _document(text: str) -> dict[str, Any]:
    """Return the document that the command printed; {} if it printed none."""
    try:
        return json.loads(text)
    except ValueError:
        sys.stderr.write(text)
        return {}


class _Parser(argparse.ArgumentParser):
    """Raise wrong use as a CommandError. Options cannot be abbreviated, since a new one could change the meaning."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise CommandError(message, WRONG_USE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m promotion",
        description="Release a service in steps. Each step edits the stack file and updates the stack.",
        epilog=f"example: python -m promotion up --stack dev\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = cast(
        Commands, parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    )
    for add in COMMANDS:
        add(subparsers)
    return parser


def _version() -> str:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name']} {project['version']}"
