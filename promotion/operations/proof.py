"""The healthy verdict that `promote` and `traffic canary` require."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contract.image import digest_of, short
from contract.settings import VerdictKeys
from promotion.errors import WRONG_USE, CommandError
from promotion.operations.session import Session, keys_of
from promotion.state.stack_state import StackState
from promotion.state.verdict_record import RETRIED, VerdictRecord, last_verdict


def require_proof(session: Session, state: StackState, action: str) -> bool:
    """Return whether the canary has a healthy verdict that counts.

    Raises CommandError if not, unless ``--force`` is given; ``action`` is the action to force, such as "promote it".
    """
    running = state.tracks.get("canary")
    digest = digest_of(session.release.canary_image) or (running.digest if running else "")
    missing = missing_proof(session, digest, state)
    if missing and not session.options.force:
        raise CommandError(
            f"the canary {digest} has no healthy verdict that counts: {missing}. Run `python -m promotion verdict"
            f" --stack {session.name}`, or {action} with --force",
            WRONG_USE,
        )
    return not missing


def missing_proof(session: Session, digest: str, state: StackState) -> str:
    """Return why no verdict on the canary counts; "" if one does.

    A verdict counts for this canary beside this stable, with the settings of both, for `verdictValidHours`.
    """
    record = last_verdict(digest, session.verdicts(), session.trial)
    if record is None:
        shown = session.release.canary_verdict
        return f"the last verdict is `{short(shown)}`" if shown else "there is no verdict"
    if record.is_against:
        return f"it {record.sentence}"
    if record.result == RETRIED:
        return f"it was rejected, and is on trial again since {record.time}"
    if not record.stable:
        return f"the verdict of {record.time} does not say what the canary was compared with"
    stable = state.tracks.get("stable")
    if stable is None or stable.digest != record.stable:
        now = short(stable.digest) if stable else "nothing"
        return f"it was compared with stable {short(record.stable)}, and stable runs {now} now"
    if state.settings != record.settings:
        return f"the settings of the pods have changed since the verdict of {record.time}"
    hours = keys_of(session.file, VerdictKeys).verdict_valid_hours
    if datetime.now(UTC) - record.moment > timedelta(hours=hours):
        return f"the verdict of {record.time} is older than {hours} hours (verdictValidHours)"
    if _was_undone(session, record):
        return f"it was promoted on the verdict of {record.time} and stable has left it since"
    return ""


def _was_undone(session: Session, record: VerdictRecord) -> bool:
    """Return whether stable ran the image after its verdict; `git revert` brings such a verdict back."""
    promotes = record.digest != record.stable  # else only settings are on trial
    return (
        promotes
        and not session.options.only_config
        and any(
            update.is_applied
            and update.time > record.moment
            and digest_of(update.config.get("stableImage", "")) == record.digest
            for update in session.updates()
        )
    )
