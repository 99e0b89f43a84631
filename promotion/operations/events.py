"""Send one event after every move and every failure to the webhooks that the stack's config names.

An event never affects its move: it is sent afterwards, once, within a few seconds, and a problem is one warning line.
`docs/reference/events.md` documents the form.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from contract.image import digest_of, short
from contract.settings import EventKeys
from promotion.errors import BUSY, UNHEALTHY, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.state import checkout
from promotion.state.secrets import written_values
from promotion.state.verdict_record import VerdictRecord, utc_stamp
from promotion.state.webhooks import Delivery, deliver

if TYPE_CHECKING:
    from promotion.operations.session import Session
    from promotion.state.history import Update

#: Version of the JSON form. A new field does not change it.
VERSION = 1
#: Commands that end with the stack; its history and its secrets go with it.
DESTROYING = ("down", "unstack")
#: Commands without an event, because they leave the stack as it is.
NO_MOVES = ("prune",)
#: Characters of a cause in a Slack message.
SLACK_CAUSE = 500
MARKS = {"done": ":white_check_mark:", "inconclusive": ":grey_question:"}
FAILURE_MARK = ":x:"


@dataclass(frozen=True)
class _Tracks:
    """Image of each track; None if the track does not run, or its image was built from source and is not pinned."""

    stable: str | None = None
    canary: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, str]) -> _Tracks:
        """Return the tracks of an update's config."""
        canary = config.get("canaryImage") if config.get("canaryReplicas", "0") != "0" else None
        return cls(config.get("stableImage") or None, canary if canary != "source" else None)

    def __str__(self) -> str:
        return f"stable {short(self.stable or 'none')}, canary {short(self.canary or 'none')}"


def prepare_event(session: Session) -> None:
    """Read what an event needs while the stack still exists. Never raises an error of its own."""
    try:
        receivers = _receivers(session)
    except Exception as problem:
        session.receivers = {}
        _warn("will not be", [_described(problem)])
        return
    if receivers:
        with suppress(CommandError):  # the event is sent without what the history says
            session.updates()


def send_event(session: Session, error: BaseException | None = None) -> None:
    """Send the event of a command that has ended, with ``error`` if it failed. Never raises an error of its own."""
    try:
        if not _is_due(session, error) or not (receivers := _receivers(session)):
            return
        event = event_of(session, error)
        deliveries = [
            Delivery(f"{key}.{name}", address, {"text": slack_text(event)} if key == "slackWebhooks" else event)
            for key, addresses in receivers.items()
            for name, address in addresses.items()
        ]
        problems = deliver(deliveries)
    except KeyboardInterrupt:  # the move is done; only its event is not
        problems = ["interrupted"]
    except Exception as problem:  # a bug here must not hide how the move ended
        problems = [_described(problem)]
    if problems:
        _warn("was not", problems)


def _warn(what: str, problems: Sequence[str]) -> None:
    print(f"warning: an event {what} delivered: {'; '.join(problems)}", file=sys.stderr, flush=True)


def _described(problem: Exception) -> str:
    """Return the message of an error, but no text of an unexpected one, which may contain an address."""
    return str(problem) if isinstance(problem, CommandError) else f"unexpected {type(problem).__name__}"


def _is_due(session: Session, error: BaseException | None) -> bool:
    """Return whether the command changed something or failed. A refusal, a dry run and a wrong argument do neither."""
    if session.options.only_config or session.command in NO_MOVES:
        return False
    if isinstance(error, CommandError):
        return error.code not in (WRONG_USE, BUSY)
    return session.changed or session.engine.ran or (error is not None and not isinstance(error, KeyboardInterrupt))


def _receivers(session: Session) -> Mapping[str, Mapping[str, str]]:
    """Return the addresses by key and name. Raises CommandError if they cannot be decrypted, or a key is malformed."""
    if session.receivers is None:
        keys = sorted(EventKeys.key_names())
        is_configured = session.file.path.exists() and any(session.config.get(key) for key in keys)
        values = written_values(session.engine.stack, session.file.prefix) if is_configured else {}
        receivers = {key: _addresses(session.name, key, values[key]) for key in keys if values.get(key)}
        session.receivers = {key: addresses for key, addresses in receivers.items() if addresses}
    return session.receivers


def _addresses(stack: str, key: str, value: str) -> Mapping[str, str]:
    """Return the addresses in the value of a key, by name. Raises CommandError, without the value, which is secret."""
    try:
        addresses = json.loads(value)
    except ValueError:
        addresses = None
    if not isinstance(addresses, dict):
        raise CommandError(
            f"{key} is no object of names and addresses: remove it with `pulumi config rm --stack {stack} {key}`,"
            f" then run `pulumi config set --secret --stack {stack} --path {key}.NAME`"
        )
    return cast(dict[str, str], addresses)


def event_of(session: Session, error: BaseException | None) -> dict[str, Any]:
    """Return the event of a command that has ended, in its JSON form."""
    before, after = _moved(session, error)
    images = [image for tracks in (before, after) for image in vars(tracks).values() if image]
    judged = [session.verdict.digest] if session.verdict else []
    record = _verdict(session, {*map(digest_of, images), *judged})
    now = datetime.now(UTC)
    return {
        "version": VERSION,
        "id": str(uuid.uuid4()),
        "time": utc_stamp(now),
        "seconds": round((now - session.opened).total_seconds()),
        "project": session.file.prefix.removesuffix(":"),
        "stack": session.name,
        "command": session.command,
        "outcome": _outcome(session, error),
        "who": _who(session),
        "commit": checkout.head(session.file),
        "from": vars(before),
        "to": vars(after),
        "verdict": {"result": record.result, "digest": record.digest, "time": record.time} if record else None,
        "message": session.options.message,
        "cause": _cause(session, error) or None,
        "link": _link(os.environ),
    }


def slack_text(event: Mapping[str, Any]) -> str:
    """Return the event as a message in Slack's own markup."""
    mark = MARKS.get(event["outcome"], FAILURE_MARK)
    before, after = (_Tracks(**event[key]) for key in ("from", "to"))
    moved = f"{before} → {after}" if before != after else str(after)
    by = f"by {_escaped(event['who'])}" + (f", commit {event['commit'][:10]}" if event["commit"] else "")
    lines = [
        f"{mark} *{_escaped(event['stack'])}*: `{event['command']}` {event['outcome']}, {by}",
        _escaped(moved),
        *([f"verdict: {event['verdict']['result']}"] if event["verdict"] else []),
        *([_escaped(event["message"])] if event["message"] else []),
        *([_escaped(event["cause"][:SLACK_CAUSE])] if event["cause"] else []),
        *([f"<{event['link']}|log>"] if event["link"] else []),
    ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Escape Slack's three control characters (Slack documentation, Formatting text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _outcome(session: Session, error: BaseException | None) -> str:
    if isinstance(error, KeyboardInterrupt | UpdateInterruptedError):
        return "interrupted"
    if error is not None:
        return "unhealthy" if isinstance(error, CommandError) and error.code == UNHEALTHY else "failed"
    result = session.verdict.result if session.verdict else "healthy"
    return "done" if result == "healthy" else result


def _cause(session: Session, error: BaseException | None) -> str:
    reasons = session.verdict.reasons if session.verdict else []
    failure = str(error) if isinstance(error, CommandError) else ""
    if isinstance(error, Exception) and not failure:
        failure = f"unexpected {type(error).__name__}"
    return "; ".join(dict.fromkeys(part for part in (session.cause, *reasons, failure) if part))


def _moved(session: Session, error: BaseException | None) -> tuple[_Tracks, _Tracks]:
    """Return the tracks before and after the command, from the stack's history."""
    if session.command not in DESTROYING:
        session.forget_updates()
    try:
        updates = [update for update in session.updates() if update.kind == "update"]
    except CommandError:
        updates = list[Update]()
    opened = session.opened.replace(microsecond=0)  # the engine's times are whole seconds
    earlier = next((update for update in updates if update.is_applied and update.time < opened), None)
    before = _Tracks.of(earlier.config) if earlier else _Tracks()
    if session.command in DESTROYING:
        return before, before if error else _Tracks()
    if tracks := session.engine.outputs.get("tracks"):
        return before, _Tracks(**{name: track["image"] for name, track in tracks.items()})
    own = updates[0] if updates and updates[0].time >= opened else None
    if own is None and session.engine.ran:  # a killed engine leaves no entry
        return before, _Tracks.of(session.file.values())
    return before, _Tracks.of(own.config) if own else before


def _verdict(session: Session, digests: set[str]) -> VerdictRecord | None:
    """Return the recorded verdict if it is about one of these digests."""
    if not session.file.path.exists():
        return None
    record = VerdictRecord.parse(session.release.canary_verdict)
    return record if record and record.digest in digests else None


def _who(session: Session) -> str:
    """Return who started the command: the person in CI, in Git, or the user of this machine."""
    named = (os.environ.get(name) for name in ("GITHUB_ACTOR", "SEMAPHORE_WORKFLOW_TRIGGERED_BY"))
    return next(filter(None, named), None) or checkout.user(session.file) or getpass.getuser()


def _link(environment: Mapping[str, str]) -> str | None:
    """Return the address of the CI job that runs the command; None elsewhere."""
    server, repository, run = (environment.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    organization, job = environment.get("SEMAPHORE_ORGANIZATION_URL"), environment.get("SEMAPHORE_JOB_ID")
    return f"{organization}/jobs/{job}" if organization and job else None
