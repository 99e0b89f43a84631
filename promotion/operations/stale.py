"""Refuse a stale stack file: one that does not contain the last update, or that comes from an older commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

from pulumi import automation
from pydantic import ValidationError

from contract.image import digest_of, short
from contract.project import declared_keys
from contract.settings import EventKeys, ReleaseSettings, VerdictKeys, overlay
from promotion.errors import WRONG_USE, CommandError
from promotion.operations.config_edits import Move
from promotion.operations.session import Session, release_settings
from promotion.state import checkout, git
from promotion.state.engine import error_lines
from promotion.state.engine_yaml import normal_form
from promotion.state.history import RECORDS, SECRET, Change, Update, differences, with_defaults
from promotion.state.secrets import UNREADABLE
from promotion.state.stack_file import Edits, holds_secret
from promotion.state.stack_state import StackState
from stacks.parsing import SECRET_KEYS

#: Newest entries of the history that are searched for the last update.
NEWEST_UPDATES = 20
#: Digits of a commit in a message.
COMMIT_DIGITS = 12
#: Marks an encrypted value in the JSON of an edit.
SECURE = '"secure":'
#: Keys that only the commands read; they do not affect what runs.
UNDEPLOYED = VerdictKeys.key_names() | EventKeys.key_names() | {"testCommands"}


def refuse_stale(session: Session, *moves: Move, announced: Set[str] = frozenset()) -> None:
    """Raise CommandError if a move would change more than it announces.

    Apply the move to the stack file and to the deployed config, which is that of the last update: the results must be
    the same. With several ``moves``, one that passes is enough. An interrupted move passes, because repeating it
    changes nothing. ``announced`` are keys that the user edited for this move, such as the settings of a trial. With
    ``--only-config``, compare nothing: a pull request has no access to the stack.
    """
    if session.options.only_config:
        return
    updates = session.updates()
    deployed = deployed_config(updates)
    if deployed is None:
        return
    candidates = [deployed]
    last = next(each for each in updates if each.kind == "update")
    applied = next((each for each in updates if each.is_applied), None)
    if applied and not last.is_applied:  # it may have done nothing, and the way back is the config before it
        candidates.append(with_defaults(applied.config))
    written = _file_config(session)
    by_move = [_unannounced(session, each, written, move, announced) for each in candidates for move in moves]
    if not all(by_move):
        return
    name = session.file.path.name
    lines = [
        f"  - {each.key}: deployed {_shown(each, each.before)}, file {_shown(each, each.after)}" for each in by_move[0]
    ]
    if session.options.force:
        session.console.say("\n".join([f"--force: {name} also changes", *lines]))
        return
    remedy = (
        f"If the file is out of date, get the current one (`git pull`); if the changes are meant, apply them first with"
        f" `python -m promotion up --stack {session.name}`, or use --force."
    )
    raise CommandError(
        "\n".join([f"{name} is not what is deployed, and `{session.command}` would also change:", *lines, remedy]),
        WRONG_USE,
    )


def deployed_config(updates: Sequence[Update]) -> dict[str, str] | None:
    """Return the config of the last update, defaults included; None if nothing is deployed."""
    last = next((each for each in updates if each.kind in ("update", "destroy")), None)
    return with_defaults(last.config) if last and last.kind == "update" else None


def _unannounced(
    session: Session, deployed: Mapping[str, str], written: Mapping[str, str], move: Move, announced: Set[str]
) -> list[Change]:
    """Return the differences between file (``written``) and ``deployed`` config that make the move's results differ."""
    before, after = _pinned(session, deployed, written)
    # Where a Prometheus finds the pods by annotations, these have the path: a change restarts the pods.
    deployed_too = {"metricsPath"} if written.get("metricsDiscovery") == "annotations" else set[str]()
    keys = declared_keys() - {*RECORDS} - (UNDEPLOYED - deployed_too) - announced
    moved = _moved(before, move, before), _moved(after, move, session.config)
    results = [each for each in differences(*moved) if each.key in keys]
    causes = [each for each in differences(before, after) if each.key in keys]
    differing = {each.key for each in results}
    changes = results and ([each for each in causes if each.key in differing] or causes)
    # A secret that the move restores replaces what the file has; other moves only see that the history hides it.
    restored = {key for key, value in _edits(before, move, before).items() if value and SECURE in value}
    secret = [key for key in keys - restored if before.get(key) == after.get(key) == SECRET]
    stable = deployed.get("stableImage", "")
    if stable and not _moved(written, move, session.config).get("stableImage"):
        changes = [Change("stableImage", stable, ""), *changes]  # would be built from source, untried
    return changes + [Change(key, SECRET, "another secret") for key in _changed_secrets(session, secret)]


def _file_config(session: Session) -> dict[str, str]:
    file = session.file
    secret = {
        key.removeprefix(file.prefix): SECRET
        for key, value in file.config().items()
        if key.startswith(file.prefix) and holds_secret(value)
    }
    return with_defaults({**file.values(), **secret})


def _pinned(
    session: Session, before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return both configs with the running images by digest, where one names the digest and the other does not.

    An image built from source is thus the same as its pinned digest, because pinning changes nothing.
    """
    pinned = dict(before), dict(after)
    state: StackState | None = None
    for track, key, unpinned in (("stable", "stableImage", ""), ("canary", "canaryImage", "source")):
        values = before.get(key, ""), after.get(key, "")
        if values[0] == values[1] or unpinned not in values or (track == "canary" and "" in values):
            continue
        state = state or session.state()
        running = state.tracks.get(track)
        if running and running.digest in map(digest_of, values):
            for config in pinned:
                config[key] = running.image
    return pinned


def _moved(values: Mapping[str, str], move: Move, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the values after the move; unmoved if their release is invalid, since it was never deployed.

    ``config`` has the same keys, decoded if possible.
    """
    edits = _edits(values, move, config)
    edited = {key: value for key, value in edits.items() if value is not None}
    kept = {key: value for key, value in values.items() if key not in edits}
    hidden = {key: SECRET for key, value in edited.items() if SECURE in value}
    return with_defaults({**kept, **edited, **hidden})


def _edits(values: Mapping[str, str], move: Move, config: Mapping[str, Any]) -> Edits:
    names = ReleaseSettings.key_names()
    try:
        release = ReleaseSettings.model_validate({key: value for key, value in values.items() if key in names})
    except ValidationError:
        return {}
    return move(release, config)


def _changed_secrets(session: Session, keys: Sequence[str]) -> list[str]:
    """Return the keys whose secrets differ between file and deployed config. They are decrypted in memory only."""
    if not keys:
        return []
    stack = session.engine.stack
    try:
        wanted = cast(Mapping[str, Any], stack.get_all_config())
        summaries = stack.history(page_size=NEWEST_UPDATES, page=1, show_secrets=True)
    except automation.CommandError as error:
        raise CommandError(f"stack `{session.name}`: cannot compare its secrets: {error_lines(error)}") from None
    last = next((each for each in summaries if each.kind == "update"), None)
    if last is None:
        return []
    names = [(key, f"{session.file.prefix}{key}") for key in keys]
    return [
        key
        for key, name in names
        if UNREADABLE not in _value(last.config, name)
        and _value(wanted, name) not in (_value(last.config, name), _promoted(last.config, session.file.prefix, key))
    ]


def _promoted(config: Mapping[str, Any], prefix: str, key: str) -> str:
    """Return the value after a promotion, which may have been interrupted."""
    own, settings, secrets = (
        {name: json.loads(_value(config, prefix + name) or "{}") for name in ("environment", "secretEnvironment")},
        json.loads(_value(config, f"{prefix}canarySettings") or "{}"),
        json.loads(_value(config, f"{prefix}canarySecretEnvironment") or "{}"),
    )
    return normal_form(json.dumps(overlay(own, settings, secrets).get(key, {})))


def _value(config: Mapping[str, Any], name: str) -> str:
    return with_defaults({name: config[name].value})[name] if name in config else ""


def _shown(change: Change, value: str) -> str:
    """Return the value for a message; a secret that somebody forgot to encrypt is hidden, too."""
    return SECRET if value and change.key in SECRET_KEYS else short(value) or "(unset)"


def refuse_older_commit(session: Session, text: str) -> None:
    """Raise CommandError if HEAD is older than the commit of the last update, as in a rerun of an old workflow.

    Also raise it if Git cannot tell, and ``text``, the new stack file, changes an image. ``--force`` skips both.
    """
    done = [each for each in session.updates() if each.is_applied]
    last = next((each for each in done if each.commit), None)
    if last is None or session.options.force or not git.is_in_git(session.file):
        return
    commit, relation = last.commit[:COMMIT_DIGITS], checkout.relation_to(session.file, last.commit)
    if relation == "older" and session.console.can_ask:
        session.console.say(f"this checkout is older than commit {commit}, from which the stack was last updated")
        session.console.confirm()
        return
    if relation == "older":
        raise CommandError(
            f"this checkout is older than commit {commit}, from which stack `{session.name}` was last updated: it would"
            " go back to an earlier config. Update from the newest commit, or use --force",
            WRONG_USE,
        )
    newer = checkout.committed(session.file) > done[0].time  # a run of an older commit cannot have one
    if relation == "unknown" and not newer and _changes_image(session, done[0], text):
        raise CommandError(
            f"this checkout cannot tell whether it is newer than commit {commit}, from which stack `{session.name}` was"
            " last updated, and an image would change. Fetch the whole history (`git fetch --unshallow`; in a workflow"
            " `fetch-depth: 0`), or use --force",
            WRONG_USE,
        )


def _changes_image(session: Session, last: Update, text: str) -> bool:
    try:
        release = release_settings(session.file, text)
    except CommandError:
        return False  # the preview reports all errors at once
    wanted = {"stableImage": release.stable_image, "canaryImage": release.canary_image if release.has_canary else ""}
    return any(image and image != last.config.get(key, "") for key, image in wanted.items())
