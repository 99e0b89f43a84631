"""``status``: what runs, for whom, how well, and where the records disagree."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

from promotion.arguments import Commands, command, output_argument
from promotion.errors import DONE, FAILED, CommandError
from promotion.operations.work import LOCKS
from promotion.state import engine as stacks
from promotion.state.stack_file import StackFile

if TYPE_CHECKING:
    from promotion.status.status import Status

#: Seconds between two looks of --watch.
EVERY_SECONDS = 5.0
#: Clears a terminal and goes to its first line (ECMA-48).
CLEAR = "\x1b[2J\x1b[H"


def register(commands: Commands) -> None:
    parser = command(
        commands, "status", run, "show what runs, for whom and how well, and where the records disagree", "--watch"
    )
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=EVERY_SECONDS,
        metavar="SECONDS",
        help="look again every so many seconds (%(const)s), until Ctrl-C; errors and times are then those in between",
    )
    output_argument(parser)


def run(options: argparse.Namespace) -> int:
    from promotion.status.status import Observer  # the Kubernetes client takes half a second to import

    stack = stacks.selected(options.stack)
    observer = Observer(stack, StackFile.of(options.stack), LOCKS, lifetime=options.watch is None)
    if options.watch is None:
        return _shown(observer.look(), options, "")
    clear = CLEAR if options.output == "text" and sys.stdout.isatty() else ""
    ended = _ended_by_user()
    while not ended.is_set():
        try:
            _shown(observer.look(), options, clear)
        except CommandError as fault:  # in the middle of a `down`, say; it may come back
            print(f"{clear}{fault}", file=sys.stderr if options.output == "json" else sys.stdout, flush=True)
        ended.wait(options.watch)
    return DONE


def _ended_by_user() -> threading.Event:
    """Set by the first Ctrl-C or SIGTERM, so that a look ends in order; the second one interrupts it."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            signal.default_int_handler(number, frame)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return ended


def _shown(status: Status, options: argparse.Namespace, clear: str) -> int:
    """Print it; FAILED where the cluster did not answer."""
    from promotion.status.status import status_json
    from promotion.status.table import status_text

    if options.output == "json":
        # One document a line while watching.
        print(json.dumps(status_json(status), indent=2 if options.watch is None else None), flush=True)
    else:
        print(f"{clear}{status_text(status)}", flush=True)
    return DONE if status.live is not None else FAILED
