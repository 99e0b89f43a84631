"""Choose the tracks behind the public Service."""

from __future__ import annotations

from contract.image import digest_of
from promotion.errors import WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.options import TrafficOptions
from promotion.operations.session import Session, open_session
from promotion.operations.update import apply, propose
from promotion.state.verdict_record import VerdictRecord


def traffic(options: TrafficOptions) -> int:
    """Route the users to both tracks or to one; return the exit code. Raises CommandError."""
    with open_session("traffic", options) as session:
        if options.to == "canary":
            _require_canary(session)
        text = propose(session, config_edits.route_traffic(session.release, options.to))
        if apply(session, text, f"to {options.to}"):
            session.answer(traffic=options.to)
        return session.exit_code


def _require_canary(session: Session) -> None:
    """Raise CommandError if there is no canary, or a verdict is against it and ``--force`` is not given."""
    release = session.release
    if not release.has_canary:
        raise CommandError(
            f"stack `{session.name}` has no canary to serve the users: start one with `python -m promotion canary"
            f" --stack {session.name}`",
            WRONG_USE,
        )
    verdict = VerdictRecord.parse(release.canary_verdict)
    against = verdict is not None and verdict.is_against and digest_of(release.canary_image) == verdict.digest
    if verdict and against and not session.options.force:
        raise CommandError(f"the canary {verdict.sentence}: use --force to route users to it anyway", WRONG_USE)
