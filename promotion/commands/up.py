"""``up``: bring a stack to what its config says."""

from __future__ import annotations

import argparse

from promotion.arguments import Commands, command, wait_argument
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations.work import Work, working
from promotion.status.table import next_commands, outputs_text


def register(commands: Commands) -> None:
    parser = command(commands, "up", run, "bring a stack to what its config says")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a config key first, in the stack file too (repeatable)",
    )
    parser.add_argument("--message", "-m", metavar="TEXT", help="why; kept in the stack's history")
    wait_argument(parser)


def run(options: argparse.Namespace) -> int:
    edits: dict[str, str | None] = {}
    for pair in options.set:
        key, separator, value = pair.partition("=")
        if not separator:
            raise CommandError(f"--set {pair}: write KEY=VALUE, as in --set canaryReplicas=1", WRONG_USE)
        edits[key] = value
    with working(options, "up") as work:
        work.create()
        work.apply(work.file.edited(edits), "", preview=True)
        _pin(work)
        print(f"\n{outputs_text(options.stack, work.outputs)}\n\n{next_commands(options.stack, work.outputs)}")
    return DONE


def _pin(work: Work) -> None:
    """Where only the first update may build from source, what it built is what stable runs from then on."""
    if work.release.build_from_source == "first" and not work.release.stable_image:
        image = str(work.outputs["tracks"]["stable"]["image"])
        work.file.write(work.file.edited({"stableImage": image}))
        work.say(f"{work.file.path.name}: stableImage is pinned to what was built; commit that")
