"""``release``: canary, verdict and promotion in one run; or the canary taken back, with a diagnosis."""

from __future__ import annotations

import argparse

from promotion.arguments import Commands, change_arguments, command
from promotion.commands.canary import Trial, prepared, put_on_trial, trial_arguments
from promotion.commands.promote import promote
from promotion.commands.rollback import canary_back
from promotion.commands.verdict import try_canary, verdict_arguments
from promotion.errors import DONE, FAILED, INCONCLUSIVE, CommandError, UpdateInterruptedError
from promotion.operations.failed_canary import FOUND_UNHEALTHY, diagnosis, take_back
from promotion.operations.work import Work, working
from promotion.state.verdict_record import record
from promotion.verdict import Verdict


def register(commands: Commands) -> None:
    parser = command(
        commands,
        "release",
        run,
        "canary, verdict and promotion in one run; or the canary taken back, with a diagnosis",
        "--image source --for 5m",
    )
    trial_arguments(parser)
    verdict_arguments(parser)
    change_arguments(parser, config_alone=False)
    parser.set_defaults(only_config=False)


def run(options: argparse.Namespace) -> int:
    with working(options, "release") as work:
        _finish(work)
        trial = prepared(work)
        if not work.release.has_canary and work.release.stable_image.endswith(f"@{trial.digest}"):
            work.say(f"stable runs {trial.digest} already: there is nothing to release")
            if options.image == "source":
                work.let_go("what was built is what stable runs")
            work.answer(result="done", image=trial.image)
            return DONE
        put_on_trial(work, trial)
        result, verdict = _judged(work, trial)
        if result == "healthy":
            _promoted(work)
        elif result == "unhealthy" and not options.keep:
            take_back(work, FOUND_UNHEALTHY)
        else:
            work.say(
                f"the canary stays on trial: `python -m promotion verdict --stack {work.name}` goes on judging it,"
                " `promote --force` and `rollback` end it"
            )
        work.answer(result=result, image=trial.image, **({"verdict": verdict.as_json()} if verdict else {}))
    return {"healthy": DONE, "inconclusive": INCONCLUSIVE}.get(result, FAILED)


def _finish(work: Work) -> None:
    """A promotion or rollback that was cut off left a canary that the stack file knows nothing of: end it first."""
    if not work.release.has_canary and "canary" in work.standing().parts:
        work.say("the stack still has a canary that its file has done with: the last run is brought to its end")
        work.apply(work.file.text(), "the run that was cut off, to its end")


def _judged(work: Work, trial: Trial) -> tuple[str, Verdict | None]:
    """The result and the verdict; no verdict but the one on record where a run was cut off after it."""
    said = record(work.release.canary_verdict)
    if said and said.digest == trial.digest and said.result == "healthy":
        work.say(f"found healthy at {said.time}")
        return said.result, None
    verdict = try_canary(work)
    return verdict.result, verdict


def _promoted(work: Work) -> None:
    """Promote; where stable can't take the image, go back to where it was. Raises CommandError then."""
    try:
        promote(work)
    except CommandError as fault:
        if (
            fault.code != FAILED
            or isinstance(fault, UpdateInterruptedError)
            or work.options.keep
            or not work.failed("stable")
        ):
            raise
        work.say(f"\nstable did not come up with the new image\n\n{diagnosis(work, 'stable')}\n")
        canary_back(work, reject=True)
        raise CommandError("stable did not come up with the new image, and was taken back to the one before") from None
