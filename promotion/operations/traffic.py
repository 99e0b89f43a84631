"""Choose the tracks that serve users."""

from __future__ import annotations

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.options import TrafficOptions
from promotion.operations.proof import require_proof
from promotion.operations.session import Session, open_session
from promotion.operations.update import apply, propose


def traffic(options: TrafficOptions) -> int:
    """Route the users to both tracks or to one; return the exit code. Raises CommandError."""
    with open_session("traffic", options) as session:
        if options.to == "canary":
            _require_canary(session)
        text = propose(session, lambda release, _: config_edits.route_traffic(release, options.to))
        # Users who return from the canary do not wait for the platform.
        if apply(session, text, f"to {options.to}", platform="refuse" if options.to == "canary" else "leave"):
            session.answer(traffic=options.to)
        return session.exit_code


def _require_canary(session: Session) -> None:
    """Raise CommandError if there is no canary, or it has no healthy verdict and ``--force`` is not given."""
    release = session.release
    if not release.has_canary:
        raise CommandError(
            f"stack `{session.name}` has no canary to serve the users: start one with `python -m promotion canary"
            f" --stack {session.name}`",
            WRONG_USE,
        )
    require_proof(session, session.state(), "give it all users")
