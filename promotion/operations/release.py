"""Run canary, verdict and promotion in one go, or roll the canary back with a diagnosis."""

from __future__ import annotations

from promotion.errors import DONE, FAILED, INCONCLUSIVE, UNHEALTHY, CommandError, UpdateInterruptedError
from promotion.operations import config_edits
from promotion.operations.canary import Trial, prepare_trial, start_trial
from promotion.operations.explanation import Explanation
from promotion.operations.options import ReleaseOptions
from promotion.operations.promote import promote_canary
from promotion.operations.proof import missing_proof
from promotion.operations.rollback import FOUND_UNHEALTHY, pin_stable, removal_of, remove_canary, roll_back_canary
from promotion.operations.session import Session, open_session
from promotion.operations.stale import refuse_stale
from promotion.operations.update import apply, commit, discard_build, track_failed
from promotion.operations.verdict import try_canary
from promotion.verdict import Verdict


def release(options: ReleaseOptions) -> int:
    """Release an image; return the exit code. Raises CommandError."""
    with open_session("release", options) as session:
        _finish_last_run(session)
        trial = prepare_trial(session, options)
        if is_released(session, trial):
            session.console.say(f"stable already runs {trial.digest}; nothing to release")
            if options.image in (None, "source"):
                discard_build(session, "stable already runs the new image")
            session.answer(result="done", image=trial.image)
            return DONE
        start_trial(session, trial)
        result, verdict = _judge(session, options, trial)
        if result == "healthy":
            _promote(session)
        elif result == "unhealthy" and not options.keep:
            roll_back_canary(session, FOUND_UNHEALTHY)
        else:
            commit(session, f"verdict: {result}")
            session.console.say(
                f"the canary stays on trial: judge it again with `python -m promotion verdict --stack {session.name}`,"
                " or end the trial with `promote --force` or `rollback`"
            )
        session.answer(result=result, image=trial.image, **({"verdict": verdict.as_json()} if verdict else {}))
        return {"healthy": session.exit_code, "inconclusive": INCONCLUSIVE}.get(result, UNHEALTHY)


def _finish_last_run(session: Session) -> None:
    """Finish an interrupted promotion or rollback: its canary runs, but is no longer in the stack file."""
    if session.release.has_canary:
        return
    state = session.state()
    if "canary" in state.known_tracks:
        session.console.say(
            "the stack still runs a canary that is no longer in its file; finishing the interrupted run"
        )
        refuse_stale(session, config_edits.promote, removal_of(state))
        text = session.file.edited(pin_stable(session.release, state))
        apply(session, text, "finish the interrupted run", platform="leave")


def is_released(session: Session, trial: Trial) -> bool:
    """Return whether stable runs the image already, and there are no other settings to try it with."""
    current = session.release
    same_image = current.stable_image.endswith(f"@{trial.digest}")
    return same_image and not current.has_canary and not session.trial


def _judge(session: Session, options: ReleaseOptions, trial: Trial) -> tuple[str, Verdict | None]:
    """Return the result and the verdict; no verdict if an interrupted run has already recorded the result."""
    if not missing_proof(session, trial.digest, session.state()):
        session.console.say("the canary already has a healthy verdict")
        return "healthy", None
    verdict = try_canary(session, options)
    return verdict.result, verdict


def _promote(session: Session) -> None:
    """Promote the canary. If stable does not become ready with the image, roll stable back and raise CommandError."""
    try:
        promote_canary(session)
    except CommandError as error:
        interrupted = isinstance(error, UpdateInterruptedError)
        if error.code != FAILED or interrupted or session.options.keep or not track_failed(session, "stable"):
            raise
        explanation = Explanation(session, "stable")
        if explanation.is_cluster_unreachable:
            raise CommandError(f"{error}. {explanation}") from None
        session.console.say("\nstable did not become ready with the new image; rolling back")
        try:
            remove_canary(session, reject=True)
        finally:
            session.console.say(f"\nstable did not become ready with the new image:\n\n{explanation}\n")
        raise CommandError("stable did not become ready with the new image and is rolled back", UNHEALTHY) from None
