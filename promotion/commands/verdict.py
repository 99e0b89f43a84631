"""``verdict``: try the canary on its users, and say whether it is healthy."""

from __future__ import annotations

import argparse
import json
import re
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from promotion.arguments import Commands, command, output_argument, wait_argument
from promotion.faults import DONE, FAILED, INCONCLUSIVE, WRONG_USE, Fault
from promotion.verdict import Result, Verdict, judge
from promotion.work import Work, working

CODES: dict[Result, int] = {"healthy": DONE, "unhealthy": FAILED, "inconclusive": INCONCLUSIVE}
UNITS = {"s": 1, "m": 60, "h": 3600}
#: Seconds of the shortest trial: less gives no three intervals to compare.
SHORTEST_TRIAL = 6
DEFAULT_TRIAL = "5m"


def register(commands: Commands) -> None:
    parser = command(commands, "verdict", run, "try the canary on its users and say whether it is healthy", "--for 5m")
    verdict_arguments(parser)
    parser.add_argument("--commit", action="store_true", help="commit the stack file, and nothing else")
    wait_argument(parser)
    output_argument(parser)


def verdict_arguments(parser: argparse.ArgumentParser) -> None:
    """How long a trial is, and how often it looks."""
    parser.add_argument(
        "--for",
        dest="trial",
        type=seconds,
        default=DEFAULT_TRIAL,
        metavar="DURATION",
        help="length of the trial, such as 90s or 5m (default: %(default)s); an unhealthy canary ends it early",
    )
    parser.add_argument(
        "--every",
        type=seconds,
        metavar="DURATION",
        help="time between two looks (default: a 30th of the trial, 2 s to 10 s)",
    )


def run(options: argparse.Namespace) -> int:
    with working(options, "verdict") as work:
        verdict = try_canary(work)
        if options.output == "json":
            print(json.dumps({"stack": work.name, **verdict.as_json()}, indent=2))
        return CODES[verdict.result]


def try_canary(work: Work) -> Verdict:
    """Judge the canary of the stack, print the verdict, and write it to the stack file.

    Raises Fault when there is no canary, or the cluster does not answer; nothing is written then.
    """
    from promotion.cluster import Cluster  # the Kubernetes client takes half a second to import
    from promotion.verdict.table import verdict_text

    options = work.options
    if options.trial < SHORTEST_TRIAL or (options.every and 3 * options.every > options.trial):
        raise Fault(f"--for: a trial has {SHORTEST_TRIAL} s or more, and three intervals (--every) or more", WRONG_USE)
    verdict = judge(Cluster.of(work.stack), options.trial, work.say, options.every, own_commands(work))
    work.say(f"\n{verdict_text(verdict)}")
    work.file.write(work.file.edited({"canaryVerdict": verdict.recorded}))
    work.commit(f"verdict: {verdict.result}")
    return verdict


def seconds(text: str) -> float:
    """A duration such as ``90s``, ``5m`` or ``1.5h``; a number alone is in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write 90s, 5m or 1h")
    return float(match[1]) * UNITS.get(match[2], 1)


def own_commands(work: Work) -> list[list[str]] | None:
    """The stack's own test commands; None where it has none. Raises Fault."""
    text = work.file.values().get("testCommands", "[]")
    try:
        return TypeAdapter(list[Annotated[list[str], Field(min_length=1)]]).validate_json(text) or None
    except ValidationError:
        raise Fault(
            f"{work.file.path.name}: testCommands = {text}: write a list of commands, each a list of words, such as"
            " [[addressbook, ping]]",
            WRONG_USE,
        ) from None
