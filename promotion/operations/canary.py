"""Put an image on trial beside stable."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contract.image import Image, digest_of, short
from contract.settings import CanaryKeys
from promotion.errors import FAILED, UNHEALTHY, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.operations import config_edits
from promotion.operations.config_edits import Move
from promotion.operations.explanation import Explanation
from promotion.operations.options import CanaryOptions
from promotion.operations.rollback import roll_back_canary
from promotion.operations.session import Session, open_session
from promotion.operations.settings_edits import canary_settings_to_stable
from promotion.operations.update import apply, build_image, discard_build, leave_failing_stable, propose, track_failed
from promotion.state.verdict_record import VerdictRecord, verdict_against

#: Keys of a build. A trial pins both images, so they change nothing else that runs.
BUILD_KEYS = frozenset({"buildContext", "dockerfile", "buildArgs", "buildPlatform"})


def canary(options: CanaryOptions) -> int:
    """Put an image on trial; return the exit code. Raises CommandError."""
    with open_session("canary", options) as session:
        trial = prepare_trial(session, _with_image(session, options))
        if start_trial(session, trial):
            session.answer(image=trial.image)
        return session.exit_code


def _with_image(session: Session, options: CanaryOptions) -> CanaryOptions:
    """Keep the image on trial if only its weight changes."""
    only_weight = options.image is None and options.weight is not None and session.release.has_canary
    return replace(options, image=session.release.canary_image) if only_weight else options


@dataclass(frozen=True)
class Trial:
    """The image that goes on trial (``source``: not built yet), and the new text of the stack file."""

    image: str
    text: str

    @property
    def digest(self) -> str:
        """``sha256:…``; "" if the image is not built yet."""
        return digest_of(self.image)


def prepare_trial(session: Session, options: CanaryOptions) -> Trial:
    """Choose the image for the trial and ask for confirmation, without changing what runs.

    An image from source is built and pushed now, and goes on trial by its digest, so that the stack file never depends
    on the working tree. For the same reason a stable that was built from source is pinned to the image it runs.
    Raises CommandError if the trial is impossible or the image was rejected.
    """
    wanted = options.image or "source"
    from_source = wanted == "source"
    _check_options(session, options, wanted)
    stable_image = _image_to_pin(session)
    retry = None if from_source else _retry(session, wanted)
    if not options.only_config and leave_failing_stable(session):
        options = replace(options, stable_replicas=session.release.stable_replicas)
    if from_source and not options.only_config:
        session.console.say("building the image from source first; it goes on trial by its digest")
    text = propose(session, _move(options, wanted, stable_image, retry), CanaryKeys.key_names() | BUILD_KEYS)
    if not from_source or options.only_config:
        return Trial(wanted, text)
    image = build_image(session, stable_image)
    session.console.say(f"built {image}")
    try:
        retry = _retry(session, image)
    except CommandError:
        discard_build(session, "the new image cannot go on trial")
        raise
    return Trial(image, session.file.edited(_move(options, image, stable_image, retry)(session.release, {})))


def start_trial(session: Session, trial: Trial) -> bool:
    """Deploy the canary; return False with ``--only-config``.

    Roll back a canary that does not become ready. Keep the canary if the update fails on another resource or the
    cluster does not answer, because it is not to blame. Raises CommandError in each case.
    """
    try:
        applied = apply(session, trial.text, f"{short(trial.image)} on trial", preview=True)
        session.engine.excluded = ()
        return applied  # noqa: TRY300 the handler is about the update alone
    except CommandError as error:
        interrupted = isinstance(error, UpdateInterruptedError)
        if error.code != FAILED or interrupted or not track_failed(session, "canary"):
            raise
        explanation = Explanation(session)
        if explanation.is_cluster_unreachable:
            raise CommandError(f"{error}. {explanation}") from None
        if session.options.keep:
            session.console.say(f"\n{explanation}\n")
        else:
            roll_back_canary(session, "the canary did not become ready", explanation)
        session.answer(result="unhealthy", image=trial.image)
        end = "stays, as --keep asks" if session.options.keep else "is rolled back"
        raise CommandError(f"the canary {short(trial.image)} did not become ready and {end}", UNHEALTHY) from None


def _check_options(session: Session, options: CanaryOptions, image: str) -> None:
    canary_settings_to_stable(session.config)  # raises an error now rather than at the promotion
    if options.weight is not None and not session.config.get("gateway"):
        raise CommandError(
            f"--weight {options.weight}: stack `{session.name}` has no Gateway, and a load balancer shares the users by"
            " pods; set `gateway` in the stack file, or use --replicas",
            WRONG_USE,
        )
    if options.replicas is not None and options.replicas < 1:
        raise CommandError("--replicas: a canary needs at least 1 pod; `rollback` removes it", WRONG_USE)
    if image == "source":
        if session.release.build_from_source == "never":
            raise CommandError(
                f"stack `{session.name}` does not build images (buildFromSource is `never`): name CI's image"
                " with --image REPOSITORY@sha256:DIGEST",
                WRONG_USE,
            )
    elif not Image.parse(image):
        raise CommandError(f"--image {image}: write REPOSITORY@sha256:DIGEST (a tag can move) or `source`", WRONG_USE)


def _move(options: CanaryOptions, image: str, stable_image: str, verdict: str | None) -> Move:
    return lambda release, _: config_edits.start_canary(
        release,
        image,
        options.replicas,
        options.stable_replicas,
        stable_image,
        options.traffic,
        verdict,
        options.weight,
    )


def _image_to_pin(session: Session) -> str:
    """Return stable's image; "" if it is pinned already. Raises CommandError if stable runs nothing yet."""
    if session.release.stable_image:
        return ""
    tracks = session.state().tracks
    if "stable" not in tracks:
        raise CommandError(
            f"stack `{session.name}` has no stable yet, and a canary needs one: run `python -m promotion up --stack"
            f" {session.name}` first"
        )
    return tracks["stable"].image


def _retry(session: Session, image: str) -> str | None:
    """Return the record that lets a rejected image onto another trial; None if it was not rejected.

    Raises CommandError without ``--force``, also if all users would meet the image before its trial.
    """
    digest, release = digest_of(image), session.release
    has_all_users = release.has_canary and release.traffic == "canary"
    if has_all_users and digest != digest_of(release.canary_image) and not session.options.force:
        raise CommandError(
            f"all users are on the canary {short(release.canary_image)}, and would meet another image before its trial:"
            " `promote` or `rollback` it first, or use --force",
            WRONG_USE,
        )
    verdict = verdict_against(digest, session.verdicts(), session.trial)
    if verdict is None:
        return None
    if not session.options.force:
        raise CommandError(f"{digest} {verdict.sentence}: try another image, or this one with --force", WRONG_USE)
    return str(VerdictRecord.retry(digest, session.trial))
