"""Remove the canary on request or because it failed, or return stable to an earlier image."""

from __future__ import annotations

from collections.abc import Mapping

from contract.image import digest_of, short
from contract.settings import ReleaseSettings
from promotion.errors import WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.explanation import Explanation
from promotion.operations.options import RollbackOptions
from promotion.operations.session import Session, open_session
from promotion.operations.settings_edits import earlier_settings, has_hidden_secrets
from promotion.operations.update import apply, propose
from promotion.state.history import SUCCEEDED, config_of_release, image_in_history, releases_of
from promotion.state.stack_file import Edits
from promotion.state.stack_state import StackState
from promotion.state.verdict_record import VerdictRecord, utc_stamp, verdict_against

#: Why a canary is rolled back after its trial.
FOUND_UNHEALTHY = "the canary is unhealthy"
#: Minimum seconds that an automatic roll-back waits for another command on the stack, instead of giving up.
WAIT_SECONDS = 600


def rollback(options: RollbackOptions) -> int:
    """Remove the canary, or return stable to an earlier image; return the exit code. Raises CommandError."""
    with open_session("rollback", options) as session:
        applied = restore_stable(session, options.to) if options.to else remove_canary(session, reject=options.reject)
        if applied:
            session.answer(image=session.release.stable_image)
        return session.exit_code


def remove_canary(session: Session, *, reject: bool = False) -> bool:
    """Remove the canary and restore stable's replicas; return False with ``--only-config``.

    Record a canary that was judged as rejected, so that it is not promoted by accident. Undo an interrupted promotion:
    stable returns to its image in the last finished update. Raises CommandError if there is no canary.
    """
    release, state = session.release, session.state()
    edits: Edits = config_edits.remove_canary(release)
    image = release.canary_image if release.has_canary else ""
    if image == "source":
        image = state.tracks["canary"].image if "canary" in state.tracks else ""
    if not release.has_canary and "canary" in state.known_tracks:
        previous = _image_before_promotion(session, release)
        edits = {**edits, **_settings_before_promotion(session, release)}
        if previous and previous != release.stable_image:
            image, edits = release.stable_image, {**edits, "stableImage": previous}
    elif not release.has_canary and not release.canary_image:
        raise CommandError(
            f"stack `{session.name}` has no canary. To return stable to an earlier image, use `--to` with one that"
            f" `python -m promotion history --stack {session.name}` lists",
            WRONG_USE,
        )
    digest = digest_of(image)
    verdict = VerdictRecord.parse(release.canary_verdict)
    own = verdict if verdict and verdict.digest == digest else None
    judged = own is not None and own.result in ("healthy", "unhealthy")
    if digest and (reject or judged) and not (own and own.is_against):
        edits = {**edits, "canaryVerdict": str(VerdictRecord.rejection(digest))}
    text = propose(session, edits)
    return apply(session, text, f"canary {short(image) or '(never deployed)'} removed")


def _image_before_promotion(session: Session, release: ReleaseSettings) -> str:
    """Return stable's image before an interrupted promotion, by the last finished update with a canary."""
    for update in session.updates():
        if update.kind == "update" and update.result == SUCCEEDED and update.config.get("canaryImage"):
            promoted = update.config["canaryImage"] == release.stable_image
            return update.config.get("stableImage", "") if promoted else ""
    return ""


def _settings_before_promotion(session: Session, release: ReleaseSettings) -> Edits:
    """Return the edits that give stable its settings before an interrupted promotion, by the same update."""
    for update in session.updates():
        if update.kind == "update" and update.result == SUCCEEDED and update.config.get("canaryImage"):
            promoted = update.config["canaryImage"] == release.stable_image
            return _settings_of(session, update.config) if promoted else {}
    return {}


def _settings_of(session: Session, earlier: Mapping[str, str] | None) -> Edits:
    """Return the edits that give stable the settings of an earlier config; say what stays as it is."""
    if earlier is None:
        return {}
    if has_hidden_secrets(earlier):
        session.console.say("secret variables stay as they are: the history does not show them")
    return earlier_settings(earlier, session.config)


def restore_stable(session: Session, to: str) -> bool:
    """Return stable to an earlier image and its settings, reject its present one, and remove the canary.

    Return False with ``--only-config``. Raises CommandError if the history has no such image.
    """
    release, updates = session.release, session.updates()
    image = image_in_history(to, releases_of(updates), updates)
    digest = digest_of(image)
    current = _stable_digest(release, session.state())
    settings = _settings_of(session, config_of_release(image, to, updates))
    if not settings and digest == current and not release.has_canary and digest == digest_of(release.stable_image):
        session.console.say("the stack file already has this image; re-running the update")
        return apply(session, session.file.text(), f"stable to {short(image)}, repeated")
    verdict = verdict_against(digest, session.verdicts())
    if verdict and not session.options.force:
        raise CommandError(f"{digest} {verdict.sentence}: choose another image, or this one with --force", WRONG_USE)
    rejection = str(VerdictRecord.rejection(current)) if current and current != digest else None
    text = propose(session, config_edits.restore_image(release, image, rejection, settings))
    return apply(session, text, f"stable to {short(image)}")


def _stable_digest(release: ReleaseSettings, state: StackState) -> str:
    """Return stable's digest from the file or, for an image built from source, from the state."""
    if release.stable_image:
        return digest_of(release.stable_image)
    return state.tracks["stable"].digest if "stable" in state.tracks else ""


def roll_back_canary(session: Session, why: str, explanation: Explanation | None = None) -> None:
    """Remove the failed canary, restore stable's replicas, record the image as unhealthy; then explain what was wrong.

    Raises CommandError if the update fails. The next command continues from there.
    """
    release = session.release
    explanation = explanation or Explanation(session)
    session.console.say(f"\n{why}; rolling back the canary")
    text = session.file.edited({**config_edits.remove_canary(release), **_unhealthy(release)})
    session.engine.wait_seconds = max(session.engine.wait_seconds, WAIT_SECONDS)
    try:
        apply(session, text, f"canary {short(release.canary_image)} removed: {why}")
    except CommandError as error:
        raise CommandError(
            f"{why}, and the roll-back failed: {error}. Run `python -m promotion rollback --stack {session.name}`"
        ) from None
    finally:
        session.console.say(f"\n{why}:\n\n{explanation}\n")


def _unhealthy(release: ReleaseSettings) -> Edits:
    """Return the edit that records the canary as unhealthy; no edit if it has such a verdict already."""
    digest, verdict = digest_of(release.canary_image), VerdictRecord.parse(release.canary_verdict)
    if not digest or (verdict and verdict.digest == digest and verdict.is_against):
        return {}
    return {"canaryVerdict": str(VerdictRecord("unhealthy", digest, utc_stamp()))}
