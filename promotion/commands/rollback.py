"""``rollback``: take the canary back, or stable to an earlier image."""

from __future__ import annotations

import argparse

from contract.settings import ReleaseSettings
from promotion.arguments import Commands, change_arguments, command, force_argument
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations import config_edits as moves
from promotion.operations.work import Work, working
from promotion.state.earlier_images import earlier_image
from promotion.state.history import SUCCEEDED, releases_of, short
from promotion.state.stack_file import Edits
from promotion.state.stack_state import StackState
from promotion.state.verdict_record import against, record, rejection


def register(commands: Commands) -> None:
    parser = command(
        commands,
        "rollback",
        run,
        "take the canary back; or, with --to, take stable back to an earlier image",
        "--to 3",
    )
    parser.add_argument(
        "--to",
        metavar="DIGEST|RELEASE",
        help="image to take stable back to, out of the stack's history: a digest, its first digits, or the number of a"
        " release as `history` shows it",
    )
    parser.add_argument(
        "--reject", action="store_true", help="remember the canary as rejected, even if it was never judged"
    )
    force_argument(parser, "go back to an image that was rejected, too")
    change_arguments(parser)


def run(options: argparse.Namespace) -> int:
    with working(options, "rollback") as work:
        if stable_back(work, options.to) if options.to else canary_back(work, reject=options.reject):
            work.answer(image=work.release.stable_image)
    return DONE


def canary_back(work: Work, *, reject: bool = False) -> bool:
    """Remove the canary and give stable its replicas back; False where only the file was to be edited.

    A canary that was judged is remembered as rejected: it is not promoted by accident. A promotion that was cut off is
    undone: stable goes back to the image of the last update that was finished. Raises CommandError where there is no
    canary.
    """
    release, standing = work.release, work.standing()
    edits: Edits = moves.without_canary(release)
    image = release.canary_image if release.has_canary else ""
    if image == "source":
        image = standing.tracks["canary"].image if "canary" in standing.tracks else ""
    if not release.has_canary and "canary" in standing.parts:
        before = _before_promotion(work, release)
        if before and before != release.stable_image:
            image, edits = release.stable_image, {**edits, "stableImage": before}
    elif not release.has_canary and not release.canary_image:
        raise CommandError(
            f"there is no canary on stack `{work.name}`; `--to` takes stable back to an earlier image (`python -m"
            f" promotion history --stack {work.name}` lists them)",
            WRONG_USE,
        )
    digest = image.partition("@")[2]
    said = record(release.canary_verdict)
    judged = said is not None and said.digest == digest and said.result in ("healthy", "unhealthy")
    if digest and (reject or judged) and not (said and said.digest == digest and said.against):
        edits = {**edits, "canaryVerdict": str(rejection(digest))}
    text = work.propose(edits)
    return work.apply(text, f"canary {short(image) or '(never up)'} removed")


def _before_promotion(work: Work, release: ReleaseSettings) -> str:
    """Image of stable before a promotion that was cut off, by the last update that was finished with a canary."""
    for update in work.updates():
        if update.kind == "update" and update.result == SUCCEEDED and update.config.get("canaryImage"):
            promoted = update.config["canaryImage"] == release.stable_image
            return update.config.get("stableImage", "") if promoted else ""
    return ""


def stable_back(work: Work, to: str) -> bool:
    """Take stable back to an earlier image; what it leaves is remembered as rejected. A canary goes with it.

    Returns False where only the file was to be edited. Raises CommandError where history has no such image.
    """
    release, updates = work.release, work.updates()
    image = earlier_image(to, releases_of(updates), updates)
    digest = image.partition("@")[2]
    leaves = _leaves(release, work.standing())
    if digest == leaves and not release.has_canary and digest == release.stable_image.partition("@")[2]:
        work.say("stable runs that already; the stack is brought to it")
        return work.apply(work.file.text(), f"stable to {short(image)}, once more")
    said = against(digest, work.verdicts())
    if said and not work.options.force:
        raise CommandError(f"{digest} {said.words}: name another, or --force", WRONG_USE)
    verdict = str(rejection(leaves)) if leaves and leaves != digest else None
    text = work.propose(moves.stable_to(release, image, verdict))
    return work.apply(text, f"stable to {short(image)}")


def _leaves(release: ReleaseSettings, standing: StackState) -> str:
    """Digest that stable runs, by the file or, where it was built from source, by the state."""
    if release.stable_image:
        return release.stable_image.partition("@")[2]
    return standing.tracks["stable"].digest if "stable" in standing.tracks else ""
