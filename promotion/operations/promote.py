"""Give stable the canary's image."""

from __future__ import annotations

from contract.image import digest_of, short
from contract.settings import ReleaseSettings
from promotion.errors import WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.options import ChangeOptions
from promotion.operations.proof import require_proof
from promotion.operations.session import Session, open_session
from promotion.operations.stale import refuse_stale
from promotion.operations.update import apply, propose
from promotion.state.stack_state import StackState
from promotion.state.verdict_record import VerdictRecord


def promote(options: ChangeOptions) -> int:
    """Promote the canary; return the exit code. Raises CommandError."""
    with open_session("promote", options) as session:
        if promote_canary(session):
            session.answer(image=session.release.stable_image)
        return session.exit_code


def promote_canary(session: Session) -> bool:
    """Give stable the canary's image and remove the canary; return False with ``--only-config``.

    Finish an interrupted promotion, whose file already names the image as stable's. Raises CommandError if there is no
    canary, or no healthy verdict on this image.
    """
    if not session.release.has_canary:
        return _finish_promotion(session, session.release)
    state = session.state()
    healthy = require_proof(session, state, "promote it")
    if session.release.canary_image == "source":
        _pin_canary(session, state)
    release = session.release
    _require_deployed(session, release, state)
    text = propose(session, config_edits.promote)
    verdict = "healthy" if healthy else "without a healthy verdict"
    return apply(session, text, f"{short(release.canary_image)} to stable, {verdict}")


def _require_deployed(session: Session, release: ReleaseSettings, state: StackState) -> None:
    """Raise CommandError if the stack does not run the canary in the file."""
    digest, running = digest_of(release.canary_image), state.tracks.get("canary")
    if running is None or running.digest != digest:
        actual = f"runs {running.digest}" if running else "has no ready canary"
        raise CommandError(
            f"{session.file.path.name} names the canary {digest}, but the stack {actual}: deploy it with `python -m"
            f" promotion canary --stack {session.name} --image {release.canary_image}`",
            WRONG_USE,
        )


def _pin_canary(session: Session, state: StackState) -> None:
    """Write the image of a canary built from source into the stack file. Raises CommandError if none is running."""
    running = state.tracks.get("canary")
    if running is None:
        raise CommandError(
            f"the canary is built from source and not running: start it with `python -m promotion canary --stack"
            f" {session.name}`",
            WRONG_USE,
        )
    session.file.write(session.file.edited({"canaryImage": running.image}))


def _finish_promotion(session: Session, release: ReleaseSettings) -> bool:
    verdict = VerdictRecord.parse(release.canary_verdict)
    promoted = verdict is not None and verdict.digest == digest_of(release.stable_image)
    if not promoted and "canary" not in session.state().known_tracks:
        raise CommandError(
            f"stack `{session.name}` has no canary: start one with `python -m promotion canary --stack {session.name}`",
            WRONG_USE,
        )
    refuse_stale(session, config_edits.promote)
    session.console.say("the stack file already has this image; re-running the update")
    return apply(session, session.file.text(), f"{short(release.stable_image)} to stable, repeated")
