"""The commands: each one's arguments become a frozen options object for its operation."""

from __future__ import annotations

import argparse

from promotion.arguments import (
    WAIT_SECONDS,
    Commands,
    add_change,
    add_command,
    add_force,
    add_keep,
    add_output,
    add_wait,
    add_with_platform,
    add_yes,
    seconds,
    seconds_or_zero,
    text,
    weight,
)
from promotion.operations import (
    canary,
    dashboard,
    promote,
    prune,
    release,
    release_stacks,
    report,
    rollback,
    stack,
    traffic,
    verdict,
)
from promotion.operations.options import (
    CanaryOptions,
    ChangeOptions,
    DashboardOptions,
    DiagnoseOptions,
    HistoryOptions,
    PreviewOptions,
    PruneOptions,
    ReleaseOptions,
    ReleaseStackOptions,
    RollbackOptions,
    StatusOptions,
    TrafficOptions,
    UnstackOptions,
    UpOptions,
    VerdictOptions,
)

DEFAULT_TRIAL = "5m"
#: Default seconds between two updates of the status with --watch.
WATCH_SECONDS = 5.0


def add_up(commands: Commands) -> None:
    summary = "update a stack to its config; create it if it does not exist"
    parser = add_command(commands, "up", stack.up, UpOptions, summary)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="first set a config key in the stack file (repeatable)",
    )
    parser.add_argument(
        "--expect",
        type=text,
        metavar="DIGEST|FILE",
        help="refuse unless the update does exactly what a preview showed: its digest, or the file of `preview --save`",
    )
    parser.add_argument("--message", "-m", type=text, metavar="TEXT", help="the reason, for the stack's history")
    add_force(parser, "update from an older commit, or to a canary that was rejected")
    add_with_platform(parser)
    add_yes(parser)
    add_wait(parser)
    add_output(parser)


def add_down(commands: Commands) -> None:
    parser = add_command(commands, "down", stack.down, ChangeOptions, "destroy a stack's resources; its file stays")
    add_yes(parser)
    add_wait(parser)
    add_output(parser)


def add_stack(commands: Commands) -> None:
    parser = add_command(
        commands,
        "stack",
        release_stacks.create_release_stack,
        ReleaseStackOptions,
        "create a release stack, for a branch or a person, on another stack's platform",
        "--name feature-x --platform staging",
        stack=False,
    )
    parser.add_argument(
        "--name", dest="stack", type=text, metavar="NAME", required=True, help="name of the stack and of its namespace"
    )
    parser.add_argument(
        "--platform",
        type=text,
        default="dev",
        metavar="STACK",
        help="stack whose platform it uses (default: %(default)s)",
    )
    parser.add_argument(
        "--image",
        type=text,
        default=argparse.SUPPRESS,
        help="image to run, REPOSITORY@sha256:DIGEST (default: built from the build context)",
    )
    parser.add_argument("--update", action="store_true", help="update the stack if it exists, from any checkout")
    parser.add_argument(
        "--expires-in",
        type=seconds,
        metavar="DURATION",
        help="time after which `unstack --expired` destroys it, such as 12h or 3d (default: never)",
    )
    add_wait(parser)
    add_output(parser)


def add_unstack(commands: Commands) -> None:
    parser = add_command(
        commands,
        "unstack",
        release_stacks.destroy_release_stacks,
        UnstackOptions,
        "destroy a release stack, with its namespace, database and file; its platform stays",
        "--name feature-x",
        stack=False,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", dest="stack", type=text, metavar="NAME", help="name of the release stack")
    which.add_argument(
        "--expired", action="store_true", help="destroy every release stack in the backend whose `expires` is past"
    )
    add_wait(parser)
    add_output(parser)


def add_canary(commands: Commands) -> None:
    summary = "put an image on trial beside stable"
    parser = add_command(commands, "canary", canary.canary, CanaryOptions, summary, "--image source --replicas 1")
    _add_image(parser, "source; with --weight, the image that is on trial")
    add_change(parser)


def add_verdict(commands: Commands) -> None:
    summary = "judge the canary by its users' requests; diagnose an unhealthy canary and roll it back"
    parser = add_command(commands, "verdict", verdict.verdict, VerdictOptions, summary, "--for 5m")
    _add_trial(parser)
    add_keep(parser)
    add_force(parser, "judge even if the stack file is stale")
    add_change(parser, only_config=False)


def add_promote(commands: Commands) -> None:
    summary = "give the canary's image to stable, and remove the canary"
    example = "--message 'healthy for a day'"
    parser = add_command(commands, "promote", promote.promote, ChangeOptions, summary, example)
    add_force(parser, "promote without a healthy verdict, or from a stale stack file")
    add_change(parser)


def add_rollback(commands: Commands) -> None:
    summary = "remove the canary; or, with --to, return stable to an earlier image"
    parser = add_command(commands, "rollback", rollback.rollback, RollbackOptions, summary, "--to 3")
    parser.add_argument(
        "--to",
        type=text,
        metavar="DIGEST|RELEASE",
        help="earlier image for stable: a digest, its first digits, or a release's number in `history`",
    )
    parser.add_argument(
        "--reject", action="store_true", help="record the canary as rejected, with or without a verdict"
    )
    add_force(parser, "return to an image even if it was rejected or never ran, or from a stale stack file")
    add_change(parser)


def add_undo(commands: Commands) -> None:
    summary = "return stable to the image that it ran before, and remove the canary"
    parser = add_command(commands, "undo", rollback.undo, ChangeOptions, summary, "--message 'errors since noon'")
    add_force(parser, "undo from a stale stack file")
    add_change(parser)


def add_release(commands: Commands) -> None:
    summary = "run canary, verdict and promotion in one go; diagnose an unhealthy canary and roll it back"
    example = "--image source --for 5m"
    parser = add_command(commands, "release", release.release, ReleaseOptions, summary, example)
    _add_image(parser, "source")
    _add_trial(parser)
    add_change(parser, only_config=False)


def add_traffic(commands: Commands) -> None:
    summary = "route users to both tracks (split), to stable (a dark canary), or to the canary (a blue/green switch)"
    parser = add_command(commands, "traffic", traffic.traffic, TrafficOptions, summary, "canary")
    parser.add_argument("to", choices=["split", "stable", "canary"], help="the tracks that serve users")
    add_force(parser, "route all users to a canary without a healthy verdict, or from a stale stack file")
    add_change(parser)


def _add_image(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the arguments that describe the canary."""
    parser.add_argument(
        "--image",
        type=text,
        metavar="source|IMAGE",
        help=f"REPOSITORY@sha256:DIGEST, or `source` to build it from the build context (default: {default})",
    )
    parser.add_argument(
        "--weight",
        type=weight,
        metavar="PERCENT",
        help="percentage of the requests that the Gateway sends to the canary, such as 1 or 2.5 (default: config key"
        " canaryWeight, which returns after the trial)",
    )
    parser.add_argument(
        "--replicas",
        type=int,
        metavar="N",
        help="pods of the canary (default: 1; with a weight, that part of stable's, rounded up)",
    )
    parser.add_argument(
        "--stable-replicas",
        type=int,
        metavar="N",
        help="stable's pods during the trial (default: all with a weight; otherwise fewer by the canary's pods, but at"
        " least 2)",
    )
    parser.add_argument(
        "--traffic",
        choices=["split", "stable"],
        help="split: the canary gets users by its weight or its share of pods; stable: only its own Service and the"
        " testers' header reach it",
    )
    add_keep(parser)
    add_force(parser, "try an image even if it was rejected, or from a stale stack file")


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
        help="time between two measurements (default: a 30th of the trial, 2 s to 10 s)",
    )
    parser.add_argument(
        "--warm-up",
        type=seconds_or_zero,
        metavar="DURATION",
        help="time after a pod's start in which its requests do not count (default: config key warmUpSeconds)",
    )


def add_prune(commands: Commands) -> None:
    summary = "delete registry images that no stack runs, names or ever ran; lists them and asks first"
    parser = add_command(commands, "prune", prune.prune, PruneOptions, summary, "--output json")
    parser.add_argument(
        "--yes", "-y", action="store_true", help="delete without asking; otherwise, without a terminal, only list"
    )
    add_wait(parser)
    add_output(parser)


def add_preview(commands: Commands) -> None:
    summary = "show what `up` would do; nothing is changed"
    parser = add_command(commands, "preview", report.preview, PreviewOptions, summary, "--output markdown")
    parser.add_argument(
        "--output",
        choices=["text", "json", "markdown"],
        default="text",
        help="form of the result; markdown is the comment on a pull request",
    )
    parser.add_argument("--save", metavar="FILE", help="also write the JSON document, for `up --expect FILE`")


def add_status(commands: Commands) -> None:
    summary = "show the tracks, their traffic and health, and differences between Git, the stack file and the cluster"
    parser = add_command(commands, "status", report.status, StatusOptions, summary, "--watch")
    repeated = parser.add_mutually_exclusive_group()
    repeated.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help="repeat every SECONDS (default: %(const)s) until Ctrl-C, with the figures since the last time",
    )
    repeated.add_argument(
        "--wait",
        dest="ready_within",
        type=float,
        nargs="?",
        const=WAIT_SECONDS,
        metavar="SECONDS",
        help="wait until all pods of both tracks are ready, or fail after SECONDS (default: %(const)s)",
    )
    repeated.add_argument(
        "--exit-code",
        action="store_true",
        help="exit with 6 if there is drift, and with 1 if that cannot be determined",
    )
    parser.add_argument(
        "--ignore-image",
        action="store_true",
        help="another image of stable in the stack file is no drift: on staging, CI deploys it before Git has it",
    )
    add_output(parser)


def add_dashboard(commands: Commands) -> None:
    summary = "show a release on a read-only page in the browser, on this machine alone, until Ctrl-C"
    example = "--stack dev --html release.html"
    options = DashboardOptions
    parser = add_command(commands, "dashboard", dashboard.dashboard, options, summary, example, stack=False)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stack", type=text, default="dev", help="name of the stack (default: %(default)s)")
    which.add_argument("--all", action="store_true", help="show all stacks of the project in the backend")
    parser.add_argument(
        "--html", type=text, metavar="FILE", help="write the page to FILE instead, as the record of this moment"
    )
    add_output(parser)


def add_history(commands: Commands) -> None:
    summary = "show who changed what and when, from the stack's updates and Git"
    parser = add_command(commands, "history", report.history, HistoryOptions, summary, "--all")
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"show all entries, not only the last {report.SHOWN_ENTRIES}",
    )
    parser.add_argument(
        "--figures",
        action="store_true",
        help="show deployment frequency, lead time, change failure rate and time to restore instead",
    )
    parser.add_argument(
        "--output",
        choices=["text", "json", "prometheus"],
        default="text",
        help="form of the result; prometheus has the figures in its text format",
    )


def add_diagnose(commands: Commands) -> None:
    summary = "show what is wrong, why, and how to fix it"
    parser = add_command(commands, "diagnose", report.diagnose, DiagnoseOptions, summary, "--track canary")
    parser.add_argument(
        "--track", choices=["stable", "canary"], help="show only this track and the objects that both tracks share"
    )
    add_output(parser)
