"""Judge the canary by its users' requests, and roll it back if it is unhealthy."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from contract.image import digest_of
from contract.settings import VerdictKeys
from promotion.errors import DONE, INCONCLUSIVE, UNHEALTHY, WRONG_USE, CommandError
from promotion.operations.options import VerdictOptions
from promotion.operations.rollback import FOUND_UNHEALTHY, removal_of, roll_back_canary
from promotion.operations.session import Session, keys_of, open_session
from promotion.operations.stale import refuse_stale
from promotion.operations.update import apply, commit
from promotion.state.secrets import written_values
from promotion.state.stack_file import StackFile
from promotion.state.trial_record import TrialRecorder
from promotion.state.verdict_record import RETRIED, VerdictRecord, utc_stamp
from promotion.verdict import Result, Verdict, judge

if TYPE_CHECKING:
    from promotion.state.cluster.cluster import Cluster
    from promotion.verdict.observation import Observation

CODES: dict[Result, int] = {"healthy": DONE, "unhealthy": UNHEALTHY, "inconclusive": INCONCLUSIVE}
#: Minimum seconds of a trial: a shorter one has fewer than three intervals to compare.
SHORTEST_TRIAL = 6


def verdict(options: VerdictOptions) -> int:
    """Judge the canary, and roll it back if it is unhealthy; return the exit code. Raises CommandError."""
    with open_session("verdict", options) as session:
        session.tolerate_unreadable_history()
        refuse_stale(session, removal_of(session.state()))
        if _finish_rollback(session):
            return UNHEALTHY
        if not options.keep:
            session.console.say("an unhealthy canary is removed from the stack and its file, unless you give --keep")
            session.console.confirm()
        result = try_canary(session, options)
        if result.result == "unhealthy" and not options.keep:
            roll_back_canary(session, FOUND_UNHEALTHY)
            session.answer(**result.as_json(), takenBack=True)
        else:
            commit(session, f"verdict: {result.result}")
            if session.console.json:
                session.console.answer("", {"stack": session.name, **result.as_json(), "takenBack": False})
        return CODES[result.result] or session.exit_code


def _finish_rollback(session: Session) -> bool:
    """Finish the interrupted rollback of an unhealthy canary; return whether there was one."""
    release = session.release
    record = VerdictRecord.parse(release.canary_verdict)
    if release.has_canary or record is None or record.result != "unhealthy":
        return False
    if "canary" not in session.state().known_tracks:
        return False
    session.console.say(f"{record.digest} {record.sentence}, and its rollback was interrupted; finishing it")
    apply(session, session.file.text(), "finish the interrupted rollback", platform="leave")
    session.answer(result=record.result, digest=record.digest, takenBack=True)
    return True


def try_canary(session: Session, options: VerdictOptions) -> Verdict:
    """Judge the stack's canary, print the verdict, and write it to the stack file.

    Raises CommandError, and writes nothing, if there is no canary, the stack file names another one, or the cluster
    does not answer.
    """
    from promotion.verdict.screen import watching
    from promotion.verdict.table import verdict_text

    if options.trial < SHORTEST_TRIAL or (options.every and 3 * options.every > options.trial):
        raise CommandError(f"--for: a trial needs at least {SHORTEST_TRIAL} s and three intervals (--every)", WRONG_USE)
    cluster = session.cluster()
    _require_same_canary(session, cluster)
    state = session.state()
    keys = _verdict_keys(session)
    if options.warm_up is not None:
        keys = keys.model_copy(update={"warm_up_seconds": round(options.warm_up)})
    recorder = TrialRecorder(session.file)
    with watching(session.console.out, only_lines=session.console.json) as show:

        def observe(seen: Observation) -> None:
            recorder.look(digest_of(seen.tracks["canary"].image), seen.as_json())
            show(seen)

        result = judge(cluster, options.trial, observe, options.every, own_commands(session.file), keys)
    session.verdict = result
    recorder.verdict(result.as_json())
    session.console.say(f"\n{verdict_text(result)}")
    record = VerdictRecord(result.result, result.digest, utc_stamp(result.ended), trial=session.trial)
    if stable := state.tracks.get("stable"):
        record = replace(record, stable=stable.digest, settings=state.settings)
    earlier = VerdictRecord.parse(session.release.canary_verdict)
    is_retry = earlier is not None and (earlier.result, earlier.digest) == (RETRIED, record.digest)
    if not (is_retry and record.result == "inconclusive"):  # else `rollback` could not tell that it was rejected before
        session.file.write(session.file.edited({"canaryVerdict": str(record)}))
        session.changed = True
    return result


def _verdict_keys(session: Session) -> VerdictKeys:
    """Return how the canary is judged, with the token decrypted in memory. Raises CommandError."""
    keys = keys_of(session.file, VerdictKeys)
    if not session.config.get("prometheusToken"):
        return keys
    if not keys.prometheus.startswith("https://"):
        raise CommandError(
            f"{session.file.path.name}: prometheusToken is only sent to a Prometheus whose address begins with https://;"
            " change `prometheus`, or remove the token",
            WRONG_USE,
        )
    token = written_values(session.engine.stack, session.file.prefix).get("prometheusToken", "")
    return keys.model_copy(update={"prometheus_token": token})


def _require_same_canary(session: Session, cluster: Cluster) -> None:
    """Raise CommandError if the stack does not run the canary in its file: the wrong one would be judged."""
    release, deployment = session.release, cluster.deployment("canary")
    if deployment is None or (release.has_canary and release.canary_image == "source"):
        return
    expected = f"the canary {digest_of(release.canary_image)}" if release.has_canary else "no canary"
    running = f"the canary {digest_of(deployment.image)}"
    if running != expected:
        raise CommandError(
            f"{session.file.path.name} names {expected}, but the stack runs {running}: apply the file with"
            f" `python -m promotion up --stack {session.name}`",
            WRONG_USE,
        )


def own_commands(file: StackFile) -> list[list[str]]:
    """Return the canary's test commands. Raises CommandError."""
    values = file.values()
    text = values.get("testCommands", "[]")
    with suppress(ValueError, LookupError, TypeError):  # it has none, or the program reports them as invalid
        text = json.dumps(json.loads(values.get("canarySettings", "{}"))["testCommands"])
    try:
        return TypeAdapter(list[Annotated[list[str], Field(min_length=1)]]).validate_json(text)
    except ValidationError:
        raise CommandError(
            f"{file.path.name}: testCommands = {text}: write a list of commands, each a list of words, such as"
            " [[addressbook, ping]]",
            WRONG_USE,
        ) from None
