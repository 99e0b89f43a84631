"""``canary``, ``verdict``, ``promote``, ``rollback``, ``release`` and ``traffic``: the steps of a release."""

from __future__ import annotations

import argparse

from promotion.commands.arguments import Commands, add_change, add_command, add_force, add_keep, seconds
from promotion.operations import canary, promote, release, rollback, traffic, verdict
from promotion.operations.config_edits import CANARY_REPLICAS
from promotion.operations.options import (
    CanaryOptions,
    ChangeOptions,
    ReleaseOptions,
    RollbackOptions,
    TrafficOptions,
    VerdictOptions,
)

DEFAULT_TRIAL = "5m"


def add_canary(commands: Commands) -> None:
    summary = "put an image on trial beside stable"
    parser = add_command(commands, "canary", canary.canary, CanaryOptions, summary, "--image source --replicas 1")
    _add_image(parser)
    add_change(parser)


def add_verdict(commands: Commands) -> None:
    summary = "judge the canary by its users' requests; an unhealthy one is diagnosed and rolled back"
    parser = add_command(commands, "verdict", verdict.verdict, VerdictOptions, summary, "--for 5m")
    _add_trial(parser)
    add_keep(parser)
    add_change(parser, only_config=False)


def add_promote(commands: Commands) -> None:
    summary = "give stable the canary's image, and remove the canary"
    example = "--message 'healthy for a day'"
    parser = add_command(commands, "promote", promote.promote, ChangeOptions, summary, example)
    add_force(parser, "promote without a healthy verdict")
    add_change(parser)


def add_rollback(commands: Commands) -> None:
    summary = "remove the canary; or, with --to, return stable to an earlier image"
    parser = add_command(commands, "rollback", rollback.rollback, RollbackOptions, summary, "--to 3")
    parser.add_argument(
        "--to",
        metavar="DIGEST|RELEASE",
        help="earlier image for stable: a digest, its first digits, or a release's number in `history`",
    )
    parser.add_argument("--reject", action="store_true", help="record the canary as rejected, judged or not")
    add_force(parser, "return to an image even if it was rejected")
    add_change(parser)


def add_release(commands: Commands) -> None:
    summary = "canary, verdict and promotion in one run; an unhealthy canary is diagnosed and rolled back"
    example = "--image source --for 5m"
    parser = add_command(commands, "release", release.release, ReleaseOptions, summary, example)
    _add_image(parser)
    _add_trial(parser)
    add_change(parser, only_config=False)


def add_traffic(commands: Commands) -> None:
    summary = "route users to both tracks (split), to stable (a dark canary), or to the canary (a blue/green switch)"
    parser = add_command(commands, "traffic", traffic.traffic, TrafficOptions, summary, "canary")
    parser.add_argument("to", choices=["split", "stable", "canary"], help="the tracks that serve users")
    add_force(parser, "route all users to a canary that was found unhealthy")
    add_change(parser)


def _add_image(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that describe the canary."""
    parser.add_argument(
        "--image",
        default="source",
        metavar="source|IMAGE",
        help="REPOSITORY@sha256:DIGEST, or `source` to build it from the build context (default: %(default)s)",
    )
    parser.add_argument(
        "--replicas", type=int, default=CANARY_REPLICAS, help="pods of the canary (default: %(default)s)"
    )
    parser.add_argument(
        "--stable-replicas",
        type=int,
        metavar="N",
        help="stable's pods beside it (default: fewer by the canary's pods, but at least 2)",
    )
    parser.add_argument(
        "--traffic",
        choices=["split", "stable"],
        help="split: users reach the canary by its share of pods; stable: only its own Service reaches it",
    )
    add_keep(parser)
    add_force(parser, "try an image even if it was rejected")


def _add_trial(parser: argparse.ArgumentParser) -> None:
    """Add the length of a trial and its interval."""
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
        help="interval between two looks (default: a 30th of the trial, 2 s to 10 s)",
    )
