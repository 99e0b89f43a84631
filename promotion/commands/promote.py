"""``promote``: stable takes the canary's image."""

from __future__ import annotations

import argparse

from contract.settings import ReleaseSettings
from promotion.arguments import Commands, change_arguments, command, force_argument
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations import config_edits as moves
from promotion.operations.work import Work, working
from promotion.state.history import short
from promotion.state.verdict_record import record


def register(commands: Commands) -> None:
    parser = command(
        commands, "promote", run, "stable takes the canary's image, the canary goes", "--message 'it held'"
    )
    force_argument(parser, "promote without a healthy verdict")
    change_arguments(parser)


def run(options: argparse.Namespace) -> int:
    with working(options, "promote") as work:
        if promote(work):
            work.answer(image=work.release.stable_image)
    return DONE


def promote(work: Work) -> bool:
    """Move stable to the canary's image; False where only the file was to be edited.

    A promotion that was cut off is finished: the file says then that stable has the image already. Raises
    CommandError where
    there is no canary, or no healthy verdict on this very image.
    """
    release = work.release
    if not release.has_canary:
        return _finish(work, release)
    if release.canary_image == "source":
        pin_canary(work)
        release = work.release
    digest = release.canary_image.partition("@")[2]
    said = record(release.canary_verdict)
    healthy = said is not None and said.result == "healthy" and said.digest == digest
    if not healthy and not work.options.force:
        verdict = f"the last verdict is `{release.canary_verdict}`" if release.canary_verdict else "there is no verdict"
        raise CommandError(
            f"the canary, {digest}, has not been found healthy ({verdict}): run `python -m promotion verdict --stack"
            f" {work.name}`, or promote it with --force",
            WRONG_USE,
        )
    running = work.standing().tracks.get("canary")
    if running is None or running.digest != digest:
        runs = f"runs {running.digest}" if running else "has no canary that is up"
        raise CommandError(
            f"{work.file.path.name} says that {digest} is on trial, but the stack {runs}: `python -m promotion canary"
            f" --stack {work.name} --image {release.canary_image}` puts it on trial",
            WRONG_USE,
        )
    text = work.propose(moves.promote(release))
    verdict = "healthy" if healthy else "not found healthy"
    return work.apply(text, f"{short(release.canary_image)} to stable, {verdict}")


def pin_canary(work: Work) -> None:
    """Write into the stack file which image a canary that was built from source runs.

    Raises CommandError where none is up.
    """
    running = work.standing().tracks.get("canary")
    if running is None:
        raise CommandError(
            f"the canary is built from source and not up: `python -m promotion canary --stack {work.name}` brings it"
            " up",
            WRONG_USE,
        )
    work.file.write(work.file.edited({"canaryImage": running.image}))


def _finish(work: Work, release: ReleaseSettings) -> bool:
    said = record(release.canary_verdict)
    promoted = said is not None and said.digest == release.stable_image.partition("@")[2]
    if not promoted and "canary" not in work.standing().parts:
        raise CommandError(
            f"there is no canary on stack `{work.name}`: `python -m promotion canary --stack {work.name}` puts one on"
            " trial",
            WRONG_USE,
        )
    work.say("the stack file says so already; the stack is brought to it")
    return work.apply(work.file.text(), f"{short(release.stable_image)} to stable, once more")
