"""``preview``, ``status``, ``history`` and ``diagnose``: reports that change nothing."""

from __future__ import annotations

from promotion.commands.arguments import Commands, add_command, add_output
from promotion.operations import report
from promotion.operations.options import DiagnoseOptions, HistoryOptions, StackOptions, StatusOptions

#: Seconds between two looks of --watch.
WATCH_SECONDS = 5.0


def add_preview(commands: Commands) -> None:
    summary = "show what `up` would do; nothing is changed"
    parser = add_command(commands, "preview", report.preview, StackOptions, summary, "--output markdown")
    parser.add_argument(
        "--output",
        choices=["text", "json", "markdown"],
        default="text",
        help="form of the result; markdown is the comment on a pull request",
    )


def add_status(commands: Commands) -> None:
    summary = "show what runs, for whom and how well, and where Git, the stack file and the cluster differ"
    parser = add_command(commands, "status", report.status, StatusOptions, summary, "--watch")
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help="look every so many seconds (%(const)s) until Ctrl-C; errors and latencies are those since the last look",
    )
    add_output(parser)


def add_history(commands: Commands) -> None:
    summary = "show who changed what when, by the stack's updates and Git"
    parser = add_command(commands, "history", report.history, HistoryOptions, summary, "--all")
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"from the stack's beginning, not only the last {report.SHOWN_ENTRIES} entries",
    )
    add_output(parser)


def add_diagnose(commands: Commands) -> None:
    summary = "show what is wrong, why, and how to fix it"
    parser = add_command(commands, "diagnose", report.diagnose, DiagnoseOptions, summary, "--track canary")
    parser.add_argument("--track", choices=["stable", "canary"], help="only this track and what both tracks share")
    add_output(parser)
