"""Remove the canary on request or because it failed, or return stable to an earlier or the previous image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.image import Image, digest_of, short
from contract.settings import ReleaseSettings
from promotion.errors import WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.config_edits import Move
from promotion.operations.explanation import Explanation
from promotion.operations.options import ChangeOptions, RollbackOptions
from promotion.operations.secret_settings import restored_secrets, stable_secrets
from promotion.operations.session import Session, open_session
from promotion.operations.settings_edits import earlier_settings
from promotion.operations.stale import refuse_stale
from promotion.operations.update import apply, leave_failing_stable, propose
from promotion.state.history import (
    SETTINGS_KEYS,
    Update,
    image_in_history,
    releases_of,
    update_of_release,
)
from promotion.state.stack_file import Edits
from promotion.state.stack_state import StackState
from promotion.state.trial_record import TrialRecorder
from promotion.state.verdict_record import RETRIED, VerdictRecord, last_verdict, utc_stamp, verdict_against

#: Why a canary is rolled back after its trial.
FOUND_UNHEALTHY = "the canary is unhealthy"
#: Minimum seconds that an automatic roll-back waits for another command on the stack, instead of giving up.
WAIT_SECONDS = 600


def rollback(options: RollbackOptions) -> int:
    """Remove the canary, or return stable to an earlier image; return the exit code. Raises CommandError."""
    with open_session("rollback", options) as session:
        if options.to is None:
            applied = remove_canary(session, reject=options.reject)
        else:
            applied = restore_stable(session, options.to)
        if applied:
            session.answer(image=session.release.stable_image)
        return session.exit_code


def undo(options: ChangeOptions) -> int:
    """Return stable to the image and settings that it ran before; return the exit code. Raises CommandError."""
    with open_session("undo", options) as session:
        previous = previous_stable(session)
        if restore_stable(session, previous.config["stableImage"], previous):
            session.answer(image=session.release.stable_image)
        return session.exit_code


def remove_canary(session: Session, *, reject: bool = False) -> bool:
    """Remove the canary and restore stable's replicas; return False with ``--only-config``.

    Reject a canary that has been judged, so that it is not promoted by accident. Undo an interrupted promotion: stable
    returns to its image in the last finished update. Raises CommandError if there is no canary.
    """
    release, state = session.release, session.state()
    image = release.canary_image if release.has_canary else ""
    before: Update | None = None
    previous = ""
    if image == "source":
        image = state.tracks["canary"].image if "canary" in state.tracks else ""
    if not session.options.only_config:
        session.tolerate_unreadable_history()
    if not release.has_canary and "canary" in state.known_tracks:
        before = _trial_before_promotion(session, release)
        previous = before.config.get("stableImage", "") if before else ""
        if previous == release.stable_image:  # only settings were on trial
            previous = ""
        image = release.stable_image if previous else image
    elif not release.has_canary and not release.canary_image:
        raise CommandError(
            f"stack `{session.name}` has no canary. To return stable to an earlier image, use `--to` with one that"
            f" `python -m promotion history --stack {session.name}` lists",
            WRONG_USE,
        )
    digest = digest_of(image)
    verdict = VerdictRecord.parse(release.canary_verdict)
    own = verdict if verdict and verdict.is_about(digest, session.trial) else None
    judged = own is not None and own.result in ("healthy", "unhealthy", RETRIED)
    removal, secrets = removal_of(state), restored_secrets(session, before)
    rejection: Edits = {}
    if digest and (reject or judged) and not (own and own.is_against):
        rejection = {"canaryVerdict": str(VerdictRecord.rejection(digest, session.trial))}
    elif before and not previous and verdict and verdict.trial and not verdict.is_against:  # settings were promoted
        rejection = {"canaryVerdict": str(VerdictRecord.rejection(verdict.digest, verdict.trial))}

    def move(release: ReleaseSettings, config: Mapping[str, Any]) -> Edits:
        settings: Edits = {**earlier_settings(before.config, config), **secrets} if before else {}
        if not previous:
            return {**settings, **removal(release, config), **rejection}
        return {**config_edits.restore_image(release, previous, settings=settings), **rejection}

    text = propose(session, move)
    if not session.options.only_config and not before:  # else stable itself is what goes back
        leave_failing_stable(session)
    return apply(session, text, f"canary {short(image) or '(never deployed)'} removed", platform="leave")


def _trial_before_promotion(session: Session, release: ReleaseSettings) -> Update | None:
    """Return the last finished update with a canary if the promotion after it was interrupted."""
    trials = (update for update in session.updates() if update.is_applied and update.config.get("canaryImage"))
    trial = next(trials, None)
    return trial if trial and trial.config["canaryImage"] == release.stable_image else None


def restore_stable(session: Session, to: str, earlier: Update | None = None) -> bool:
    """Return stable to an earlier image and its settings, reject its present one, and remove the canary.

    The settings are those of the update ``earlier``, by default of the last one in which stable ran the image. An image
    named in full needs no readable history. Return False with ``--only-config``. Raises CommandError if the history has
    no such image, it was rejected, or it never ran.
    """
    has_history = session.tolerate_unreadable_history() if Image.parse(to) else True
    release, updates = session.release, session.updates()
    image = image_in_history(to, releases_of(updates), updates)
    digest = digest_of(image)
    current = _stable_digest(release, session.state())
    earlier = earlier or update_of_release(image, to, updates)
    if earlier is None:
        session.console.say("settings and secret variables stay as they are: the history has none with this image")
    secrets = restored_secrets(session, earlier)

    def move(rejection: str | None, *, migrated: bool) -> Move:
        def edits(release: ReleaseSettings, config: Mapping[str, Any]) -> Edits:
            settings: Edits = {**earlier_settings(earlier.config, config), **secrets} if earlier else {}
            return config_edits.restore_image(release, image, rejection, settings, migrated=migrated)

        return edits

    settings: Edits = {**earlier_settings(earlier.config, session.config), **secrets} if earlier else {}
    is_repeated = session.file.edited(settings) == session.file.text()
    if is_repeated and digest == current and not release.has_canary and digest == digest_of(release.stable_image):
        refuse_stale(session, move(None, migrated=True))
        session.console.say("the stack file already has this image; re-running the update")
        return apply(session, session.file.text(), f"stable to {short(image)}, repeated", platform="leave")
    verdict = last_verdict(digest, session.verdicts())
    if verdict and (verdict.is_against or verdict.result == RETRIED) and not session.options.force:
        raise CommandError(f"{digest} {verdict.sentence}: choose another image, or this one with --force", WRONG_USE)
    ran = not has_history or digest in _stable_images(session) or (verdict is not None and verdict.result == "healthy")
    if not ran and not session.options.force:
        raise CommandError(
            f"{digest} has never been stable in stack `{session.name}` and has no healthy verdict: try it with"
            f" `python -m promotion canary --stack {session.name} --image {image}`, or use --force",
            WRONG_USE,
        )
    rejection = str(VerdictRecord.rejection(current)) if current and current != digest else None
    text = propose(session, move(rejection, migrated=ran))
    return apply(session, text, f"stable to {short(image)}", platform="leave")


def previous_stable(session: Session) -> Update:
    """Return the update with the image and settings that stable ran before its present ones.

    A version that stable went back to ends the ones in between, so a second ``undo`` goes further back. Rejected images
    are skipped. Raises CommandError if there is none, or the history cannot be read.
    """
    updates, verdicts = session.updates(), session.verdicts()

    def version(update: Update) -> _Version:
        settings = tuple(update.config.get(key, "") for key in SETTINGS_KEYS)
        return _Version(digest_of(update.config.get("stableImage", "")), settings, stable_secrets(session, update))

    path: list[tuple[_Version, Update]] = []
    for update in reversed(updates):
        if update.is_applied and update.config.get("stableImage"):
            path = [*path[: _place(path, version(update))], (version(update), update)]
    last = next((version(update) for update in updates if update.kind == "update"), None)
    place = _place(path, last) if last else len(path)
    path = path[: place if place == len(path) - 1 else place + 1]  # the present one, or a way back that failed
    for _, update in reversed(path):
        if not verdict_against(digest_of(update.config["stableImage"]), verdicts):
            return update
    raise CommandError(
        f"stack `{session.name}` has no earlier stable: name an image with `python -m promotion rollback --stack"
        f" {session.name} --to REPOSITORY@sha256:DIGEST`",
        WRONG_USE,
    )


@dataclass(frozen=True)
class _Version:
    """What stable runs: the image's digest, the settings as the history shows them, and the readable secret ones."""

    digest: str
    settings: tuple[str, ...]
    secrets: Mapping[str, str] = field(repr=False)

    def is_same(self, other: _Version) -> bool:
        """Compare two versions by what is readable in both.

        A secret that only a former secrets provider could decrypt counts as equal. Otherwise `undo` would return to the
        version that runs.
        """
        common = self.secrets.keys() & other.secrets.keys()
        equal = all(self.secrets[key] == other.secrets[key] for key in common)
        return equal and (self.digest, self.settings) == (other.digest, other.settings)


def _place(path: Sequence[tuple[_Version, Update]], version: _Version) -> int:
    """Return the place of a version in the path; the path's length if it is not there."""
    return next((place for place, (each, _) in enumerate(path) if each.is_same(version)), len(path))


def _stable_images(session: Session) -> dict[str, str]:
    """Return the images that stable ran in updates that succeeded, newest first, by digest."""
    images = [update.config.get("stableImage", "") for update in session.updates() if update.is_applied]
    return {digest_of(image): image for image in images if image}


def _stable_digest(release: ReleaseSettings, state: StackState) -> str:
    """Return stable's digest from the file or, for an image built from source, from the state."""
    if release.stable_image:
        return digest_of(release.stable_image)
    return state.tracks["stable"].digest if "stable" in state.tracks else ""


def roll_back_canary(session: Session, why: str, explanation: Explanation | None = None) -> None:
    """Remove the failed canary, restore stable's replicas, record the image as unhealthy, and then explain why.

    Raises CommandError if the update fails. The next command continues from there.
    """
    release = session.release
    explanation = explanation or Explanation(session)
    session.cause = why
    session.console.say(f"\n{why}; rolling back the canary")
    removal = removal_of(session.state())(release, session.config)
    text = session.file.edited({**removal, **_unhealthy(release, session.trial)})
    session.engine.wait_seconds = max(session.engine.wait_seconds, WAIT_SECONDS)
    try:
        leave_failing_stable(session)
        apply(session, text, f"canary {short(release.canary_image)} removed: {why}", platform="leave")
    except CommandError as error:
        raise CommandError(
            f"{why}, and the roll-back failed: {error}. Run `python -m promotion rollback --stack {session.name}`"
        ) from None
    finally:
        session.console.say(f"\n{why}:\n\n{explanation}\n")
        digest = session.verdict.digest if session.verdict else digest_of(release.canary_image)
        TrialRecorder(session.file).rollback(digest, why, str(explanation))


def removal_of(state: StackState) -> Move:
    """Return the removal of the canary as a move, which keeps stable at the image that it runs."""
    return lambda release, _: {**config_edits.remove_canary(release), **pin_stable(release, state)}


def pin_stable(release: ReleaseSettings, state: StackState) -> Edits:
    """Return the edit that keeps stable at what it runs, if the file would build it from source instead."""
    running = state.tracks.get("stable")
    return {} if release.stable_image or running is None else {"stableImage": running.image}


def _unhealthy(release: ReleaseSettings, trial: str) -> Edits:
    """Return the edit that records the canary as unhealthy; no edit if it has such a verdict already."""
    digest, verdict = digest_of(release.canary_image), VerdictRecord.parse(release.canary_verdict)
    if not digest or (verdict and verdict.is_about(digest, trial) and verdict.is_against):
        return {}
    return {"canaryVerdict": str(VerdictRecord("unhealthy", digest, utc_stamp(), trial=trial))}
