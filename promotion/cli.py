"""The commands and their arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from promotion import stack as stacks
from promotion.faults import DONE, WRONG_USE, Fault
from promotion.report import next_commands, status_text

EPILOG = "exit codes: 0 done; 1 failed; 2 wrong use or config, nothing was changed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except Fault as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.code
    except KeyboardInterrupt:
        print("error: interrupted; the next `up` goes on from where things stand", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m promotion",
        description="Move a release along by its stack config.",
        epilog=f"example: python -m promotion up --stack dev; {EPILOG}",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    up = _command(commands, "up", "bring a stack to what its config says", _up)
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a config key first, in the stack file too (repeatable)",
    )
    status = _command(commands, "status", "show what runs: address, tracks, images, shares", _status)
    status.add_argument("--output", choices=["text", "json"], default="text", help="form of the answer")
    _command(commands, "down", "destroy all that a stack made; its file stays", _down)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage] no public name
    name: str,
    help_text: str,
    run: object,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=help_text,
        description=help_text,
        epilog=f"example: python -m promotion {name} --stack dev; {EPILOG}",
    )
    command.add_argument("--stack", default="dev", help="name of the stack (default: %(default)s)")
    command.set_defaults(run=run)
    return command


def _up(options: argparse.Namespace) -> int:
    config: dict[str, str] = {}
    for pair in options.set:
        key, separator, value = pair.partition("=")
        if not separator:
            raise Fault(f"--set {pair}: write KEY=VALUE, as in --set canaryReplicas=1", WRONG_USE)
        config[key] = value
    stack = stacks.selected(options.stack, create=True)
    stacks.up(stack, config)
    outputs = stacks.outputs(stack)
    print(f"\n{status_text(options.stack, outputs)}\n\n{next_commands(options.stack, outputs)}")
    return DONE


def _status(options: argparse.Namespace) -> int:
    outputs = stacks.outputs(stacks.selected(options.stack))
    if not outputs:
        raise Fault(f"stack `{options.stack}` runs nothing: `python -m promotion up --stack {options.stack}` starts it")
    print(json.dumps(outputs, indent=2) if options.output == "json" else status_text(options.stack, outputs))
    return DONE


def _down(options: argparse.Namespace) -> int:
    try:
        stack = stacks.selected(options.stack)
    except stacks.NoStack:
        print(f"stack `{options.stack}` does not exist: there is nothing to destroy")
        return DONE
    stacks.down(stack)
    print(f"stack `{options.stack}` is gone; Pulumi.{options.stack}.yaml stays")
    return DONE
