"""Give stable the canary's image.

With `sticky`, a promotion is two updates, so that each browser changes its version once:

1. The canary gets stable's number of pods, and then weight 100: what `traffic canary` does. Every browser on stable
   moves to the canary's version.
2. Stable gets the image while it has no users. Then the route returns to it, and the canary goes. All of that is one
   version now.

A promotion in one update would roll stable's pods one by one, while browsers on stable go from pod to pod. After an
interruption anywhere, `promote` goes on with what is missing, and `rollback` returns everybody to the former version.
"""

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
from promotion.state.stack_file import Edits
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
    own_traffic: Edits = {}
    if release.sticky and not _has_all_users(session):
        if not _give_all_users(session):
            return False
        own_traffic = {"traffic": "stable"} if release.traffic == "stable" else {}  # for the next canary
    text = propose(session, lambda latest, config: {**config_edits.promote(latest, config), **own_traffic})
    verdict = "healthy" if healthy else "without a healthy verdict"
    return apply(session, text, f"{short(release.canary_image)} to stable, {verdict}")


def _has_all_users(session: Session) -> bool:
    """Return whether the last update gave all users to the canary, and finished; the file may be ahead of it."""
    release = session.release
    if session.options.only_config:  # the merged first step is what the file says
        return release.traffic == "canary"
    last = next((update for update in session.updates() if update.kind == "update"), None)
    wanted = {"traffic": "canary", "canaryImage": release.canary_image}
    return last is not None and last.is_applied and wanted.items() <= last.config.items()


def _give_all_users(session: Session) -> bool:
    """Move every browser to the canary, before stable changes; return False with ``--only-config``."""
    text = propose(session, lambda release, _: config_edits.route_traffic(release, "canary"))
    if apply(session, text, f"all users to {short(session.release.canary_image)}, before stable changes"):
        return True
    session.console.say("sticky: once this is applied, run `promote --only-config` again for stable")
    return False


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
