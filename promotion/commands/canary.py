"""``canary``: put an image on trial beside stable."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from contract.image import Image
from promotion.arguments import Commands, change_arguments, command, force_argument, keep_argument
from promotion.errors import DONE, FAILED, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.operations import config_edits as moves
from promotion.operations.failed_canary import take_back
from promotion.operations.work import Work, working
from promotion.state.history import short
from promotion.state.stack_file import Edits
from promotion.state.verdict_record import against


def register(commands: Commands) -> None:
    parser = command(commands, "canary", run, "put an image on trial beside stable", "--image source --replicas 1")
    trial_arguments(parser)
    change_arguments(parser)


def trial_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which canary is wanted."""
    parser.add_argument(
        "--image",
        default="source",
        metavar="source|IMAGE",
        help="REPOSITORY@sha256:DIGEST, or `source`: build it from the build context (default: %(default)s)",
    )
    parser.add_argument(
        "--replicas", type=int, default=moves.CANARY_REPLICAS, help="pods of the canary (default: %(default)s)"
    )
    parser.add_argument(
        "--stable-replicas",
        type=int,
        metavar="N",
        help="pods of stable beside it (default: as many less as the canary has, down to 2)",
    )
    parser.add_argument(
        "--traffic",
        choices=["split", "stable"],
        help="split: users meet the canary by its share of pods; stable: a dark canary, met through its own Service",
    )
    keep_argument(parser)
    force_argument(parser, "put an image on trial that was rejected")


def run(options: argparse.Namespace) -> int:
    with working(options, "canary") as work:
        trial = prepared(work)
        if put_on_trial(work, trial):
            work.answer(image=trial.image)
    return DONE


@dataclass(frozen=True)
class Trial:
    """The image of the canary that is to be (``source``: not built yet), and what the stack file then says."""

    image: str
    text: str

    @property
    def digest(self) -> str:
        """``sha256:…``"""
        return self.image.partition("@")[2]


def prepared(work: Work) -> Trial:
    """Settle which image goes on trial, and ask; nothing that runs is changed.

    An image built from source is built and pushed now, and goes on trial by its digest: the stack file never leaves it
    to the working tree what runs. For the same reason a stable that was built from source is pinned to what it runs.
    Raises CommandError where that can't be, and where the image was rejected.
    """
    options = work.options
    from_source = options.image == "source"
    _refuse_wrong_use(work)
    stable = _pin(work)
    if not from_source:
        _refuse_rejected(work, options.image)
    if from_source and not options.only_config:
        work.say("the image is built from source first, and goes on trial by its digest")
    text = work.propose(_edits(work, options.image, stable))
    if not from_source or options.only_config:
        return Trial(options.image, text)
    image = work.built(stable)
    work.say(f"built {image}")
    try:
        _refuse_rejected(work, image)
    except CommandError:
        work.let_go("the image that was built is a rejected one")
        raise
    return Trial(image, work.file.edited(_edits(work, image, stable)))


def put_on_trial(work: Work, trial: Trial) -> bool:
    """Declare the canary and bring it up; False where only the file was to be edited.

    A canary that does not come up is taken back; an update that failed on something else says nothing of the canary.
    Raises CommandError in both cases.
    """
    try:
        return work.apply(trial.text, f"{short(trial.image)} on trial", preview=True)
    except CommandError as fault:
        if (
            fault.code != FAILED
            or isinstance(fault, UpdateInterruptedError)
            or work.options.keep
            or not work.failed("canary")
        ):
            raise
        take_back(work, "the canary did not come up")
        work.answer(result="unhealthy", image=trial.image)
        raise CommandError(f"the canary {short(trial.image)} did not come up, and was taken back") from None


def _refuse_wrong_use(work: Work) -> None:
    options = work.options
    if options.replicas < 1:
        raise CommandError("--replicas: a canary has 1 pod or more; `rollback` removes it", WRONG_USE)
    if options.image != "source" and not Image.parse(options.image):
        raise CommandError(
            f"--image {options.image}: write `source`, or REPOSITORY@sha256:DIGEST (a tag can move)", WRONG_USE
        )
    if options.image == "source" and work.release.build_from_source == "never":
        raise CommandError(
            f"stack `{work.name}` builds nothing (buildFromSource is `never`): name what CI built with"
            " --image REPOSITORY@sha256:DIGEST",
            WRONG_USE,
        )


def _edits(work: Work, image: str, stable: str) -> Edits:
    options = work.options
    return moves.canary(work.release, image, options.replicas, options.stable_replicas, stable, options.traffic)


def _pin(work: Work) -> str:
    """Image that stable runs, to pin it to; "" where it is pinned already.

    Raises CommandError where nothing runs yet.
    """
    if work.release.stable_image:
        return ""
    standing = work.standing()
    if "stable" not in standing.tracks:
        raise CommandError(
            f"stack `{work.name}` has no stable yet that a canary could stand beside: `python -m promotion up --stack"
            f" {work.name}` brings it up"
        )
    return standing.tracks["stable"].image


def _refuse_rejected(work: Work, image: str) -> None:
    digest = image.partition("@")[2]
    record = against(digest, work.verdicts())
    if record and not work.options.force:
        raise CommandError(
            f"{digest} {record.words}: put another image on trial, or this one with --force",
            WRONG_USE,
        )
