"""``traffic``: which tracks the users meet."""

from __future__ import annotations

import argparse

from promotion.arguments import Commands, change_arguments, command, force_argument
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations import config_edits as moves
from promotion.operations.work import working
from promotion.state.verdict_record import record


def register(commands: Commands) -> None:
    parser = command(
        commands,
        "traffic",
        run,
        "point the public Service at both tracks (split), at stable alone (a dark canary), or at the canary alone"
        " (a blue/green flip)",
        "canary",
    )
    parser.add_argument("to", choices=["split", "stable", "canary"], help="whose pods the users are to meet")
    force_argument(parser, "give all users to a canary that was found unhealthy")
    change_arguments(parser)


def run(options: argparse.Namespace) -> int:
    with working(options, "traffic") as work:
        release = work.release
        if options.to == "canary":
            if not release.has_canary:
                raise CommandError(
                    f"there is no canary to give the users to: `python -m promotion canary --stack {work.name}` puts"
                    " one on trial",
                    WRONG_USE,
                )
            said = record(release.canary_verdict)
            if said and said.against and release.canary_image.endswith(said.digest) and not options.force:
                raise CommandError(f"the canary {said.words}: --force does it all the same", WRONG_USE)
        text = work.propose(moves.traffic(release, options.to))
        if work.apply(text, f"to {options.to}"):
            work.answer(traffic=options.to)
    return DONE
