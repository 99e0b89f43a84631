"""``verdict``: try the canary on its users, and say whether it is healthy; an unhealthy one is taken back."""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from promotion.arguments import Commands, change_arguments, command, keep_argument
from promotion.errors import DONE, FAILED, INCONCLUSIVE, WRONG_USE, CommandError
from promotion.operations.failed_canary import FOUND_UNHEALTHY, take_back
from promotion.operations.work import Work, working
from promotion.state.verdict_record import record
from promotion.verdict import Result, Verdict, judge

if TYPE_CHECKING:
    from promotion.state.cluster.cluster import Cluster

CODES: dict[Result, int] = {"healthy": DONE, "unhealthy": FAILED, "inconclusive": INCONCLUSIVE}
UNITS = {"s": 1, "m": 60, "h": 3600}
#: Seconds of the shortest trial: less gives no three intervals to compare.
SHORTEST_TRIAL = 6
DEFAULT_TRIAL = "5m"


def register(commands: Commands) -> None:
    parser = command(
        commands,
        "verdict",
        run,
        "try the canary on its users and say whether it is healthy; an unhealthy one is taken back, with a diagnosis",
        "--for 5m",
    )
    verdict_arguments(parser)
    keep_argument(parser)
    change_arguments(parser, config_alone=False)


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
        if _finished(work):
            return FAILED
        if not options.keep:
            work.say("an unhealthy canary is taken back, in the stack file too; --keep leaves it")
            work.agree()
        verdict = try_canary(work)
        if verdict.result == "unhealthy" and not options.keep:
            take_back(work, FOUND_UNHEALTHY)
            work.answer(**verdict.as_json(), takenBack=True)
        elif options.output == "json":
            print(json.dumps({"stack": work.name, **verdict.as_json(), "takenBack": False}, indent=2))
        return CODES[verdict.result]


def _finished(work: Work) -> bool:
    """Whether a canary was found unhealthy, its taking back cut off, and is brought to its end now."""
    said = record(work.release.canary_verdict)
    if work.release.has_canary or not said or said.result != "unhealthy" or "canary" not in work.standing().parts:
        return False
    work.say(f"{said.digest} {said.words}, and its taking back was cut off: it is brought to its end")
    work.apply(work.file.text(), "the taking back that was cut off, to its end")
    work.answer(result=said.result, digest=said.digest, takenBack=True)
    return True


def try_canary(work: Work) -> Verdict:
    """Judge the canary of the stack, print the verdict, and write it to the stack file.

    Raises CommandError when there is no canary, it is not the stack file's, or the cluster does not answer; nothing
    is written
    then.
    """
    from promotion.state.cluster.cluster import Cluster  # the Kubernetes client takes half a second to import
    from promotion.verdict.table import verdict_text

    options = work.options
    if options.trial < SHORTEST_TRIAL or (options.every and 3 * options.every > options.trial):
        raise CommandError(
            f"--for: a trial has {SHORTEST_TRIAL} s or more, and three intervals (--every) or more", WRONG_USE
        )
    cluster = Cluster.of(work.stack)
    _refuse_another(work, cluster)
    verdict = judge(cluster, options.trial, work.say, options.every, own_commands(work))
    work.say(f"\n{verdict_text(verdict)}")
    work.file.write(work.file.edited({"canaryVerdict": verdict.recorded}))
    work.commit(f"verdict: {verdict.result}")
    return verdict


def _refuse_another(work: Work, cluster: Cluster) -> None:
    """Raise CommandError if the canary that runs is not the one in the stack file."""
    release, deployment = work.release, cluster.deployment("canary")
    if deployment is None or (release.has_canary and release.canary_image == "source"):
        return
    wanted = release.canary_image.partition("@")[2] if release.has_canary else "no canary"
    runs = deployment.image.partition("@")[2]
    if runs != wanted:
        raise CommandError(
            f"{work.file.path.name} says that {wanted} is on trial, but the stack runs {runs}: `python -m promotion up"
            f" --stack {work.name}` brings it to what the file says",
            WRONG_USE,
        )


def seconds(text: str) -> float:
    """A duration such as ``90s``, ``5m`` or ``1.5h``; a number alone is in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write 90s, 5m or 1h")
    return float(match[1]) * UNITS.get(match[2], 1)


def own_commands(work: Work) -> list[list[str]] | None:
    """The stack's own test commands; None where it has none. Raises CommandError."""
    text = work.file.values().get("testCommands", "[]")
    try:
        return TypeAdapter(list[Annotated[list[str], Field(min_length=1)]]).validate_json(text) or None
    except ValidationError:
        raise CommandError(
            f"{work.file.path.name}: testCommands = {text}: write a list of commands, each a list of words, such as"
            " [[addressbook, ping]]",
            WRONG_USE,
        ) from None
