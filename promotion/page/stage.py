"""Where a release stands, in one word and one sentence, and the command to run next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from contract.image import short

Stage = Literal[
    "no canary", "not judged", "trial running", "healthy", "inconclusive", "unhealthy", "rolled back", "promoted",
    "at work", "unreachable", "unreadable",
]  # fmt: skip
AGAINST = ("unhealthy", "rejected")


@dataclass(frozen=True)
class Step:
    """A command to run next, and what it does."""

    command: str
    why: str


@dataclass(frozen=True)
class Standing:
    """Where a release stands; ``headline`` is a sentence."""

    stage: Stage
    headline: str
    steps: Sequence[Step] = ()


def standing_of(status: Mapping[str, Any], trial: Mapping[str, Any] | None, broken: Sequence[str]) -> Standing:
    """Return where a release stands by its status (`status --output json`), its trial, and what is ``broken``."""
    stack = str(status["stack"])
    if not status["cluster"]["reachable"]:
        watch = Step(_command("status", stack, "--wait"), "wait until the cluster answers and every pod is ready")
        return Standing("unreachable", "The cluster cannot be reached", (watch,))
    canary = status["tracks"].get("canary")
    if trial and trial["running"] and canary and trial["digest"] == canary["digest"]:
        end = Step(_command("rollback", stack, "--wait"), "remove the canary once the trial is over")
        return Standing("trial running", f"The canary {short(canary['digest'])} is on trial", (end,))
    if status["atWork"]:
        watch = Step(_command("status", stack, "--wait"), "wait until every pod of both tracks is ready")
        return Standing("at work", f"At work: {status['atWork']}", (watch,))
    return _on_trial(stack, status, broken) if canary else _alone(stack, status, broken)


def unreadable(error: str) -> Standing:
    """Return the standing of a stack that cannot be read; the error names the remedy."""
    return Standing("unreadable", error)


def _on_trial(stack: str, status: Mapping[str, Any], broken: Sequence[str]) -> Standing:
    digest = status["tracks"]["canary"]["digest"]
    name = short(digest)
    verdict: Mapping[str, Any] = status["verdict"] or {}
    judge = Step(_command("verdict", stack, "--for 5m"), "judge the canary by its users' requests")
    back = Step(_command("rollback", stack), "remove the canary; stable serves everyone again")
    result = verdict.get("result") if verdict.get("digest") == digest else None
    if result in AGAINST:
        return Standing("unhealthy", f"The canary {name} was judged {result}", (back,))
    if broken:
        look = Step(_command("diagnose", stack), "show what is wrong, why, and how to fix it")
        return Standing("unhealthy", broken[0], (look, back))
    if result == "healthy":
        promote = Step(_command("promote", stack), "give the canary's image to stable")
        return Standing("healthy", f"The canary {name} is healthy: it can be promoted", (promote, back))
    if result == "inconclusive":
        longer = Step(_command("verdict", stack, "--for 15m"), "judge again: a longer trial narrows the ranges")
        return Standing("inconclusive", f"The trial of the canary {name} was inconclusive", (longer, back))
    return Standing("not judged", f"The canary {name} is not judged yet", (judge, back))


def _alone(stack: str, status: Mapping[str, Any], broken: Sequence[str]) -> Standing:
    release = Step(_command("release", stack, "--image source --for 5m"), "try a new image, judge it, and promote it")
    history = Step(_command("history", stack), "show who changed what and when")
    if broken:
        look = Step(_command("diagnose", stack), "show what is wrong, why, and how to fix it")
        undo = Step(_command("undo", stack), "return stable to the image that it ran before")
        return Standing("unhealthy", broken[0], (look, undo))
    verdict: Mapping[str, Any] = status["verdict"] or {}
    digest, result = verdict.get("digest", ""), verdict.get("result")
    stable = status["tracks"].get("stable", {}).get("digest")
    if result in AGAINST and digest != stable:
        headline = f"The canary {short(digest)} was {result} and is rolled back: stable serves everyone"
        return Standing("rolled back", headline, (release, history))
    if result == "healthy" and digest == stable:
        undo = Step(_command("undo", stack), "return stable to the image that it ran before")
        return Standing(
            "promoted", f"The image {short(digest)} is promoted: stable serves everyone with it", (release, undo)
        )
    return Standing("no canary", "There is no canary: stable serves everyone", (release,))


def _command(name: str, stack: str, rest: str = "") -> str:
    return " ".join(filter(None, ["python -m promotion", name, "--stack", stack, rest]))
