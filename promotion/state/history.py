"""Updates and releases of a stack, from the history that its state backend keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from pulumi import automation

from contract.image import Image, digest_of, short
from contract.project import declared_defaults
from contract.settings import ReleaseSettings, ServiceSettings
from promotion.errors import WRONG_USE, CommandError
from promotion.state.engine import error_lines
from promotion.state.engine_yaml import normal_form

#: Key that is set only while `canary` builds an image before its trial.
BUILD_AHEAD = "buildAhead"
#: Keys that do not affect what runs.
RECORDS = ("canaryVerdict", BUILD_AHEAD)
#: Keys of the release, in the order in which they are declared.
RELEASE_KEYS = tuple(key for key in declared_defaults() if key in ReleaseSettings.key_names() - {BUILD_AHEAD})
#: Keys of stable's settings: with the image they make a release.
SETTINGS_KEYS = (*ServiceSettings.track_keys(), "secretEnvironment")
#: Updates to fetch at a time. Without a size the engine returns 10, not all.
PAGE = 200
SUCCEEDED = "succeeded"
#: Shown in place of an encrypted value.
SECRET = "[secret]"  # noqa: S105 a placeholder, not a secret
#: Minimum digits of a digest for `rollback --to`; a shorter number is a release's.
DIGEST_DIGITS = 6


@dataclass(frozen=True)
class Change:
    """A config key that an update or a commit changed; "" is unset."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class Update:
    """A run of the engine that could change the stack: ``up``, ``refresh``, ``destroy``, …

    ``number`` counts from 1, the stack's first; 0 if it is unknown. ``author`` and ``commit`` are those of the Git
    checkout, since only Pulumi Cloud records users. ``edited``: files had uncommitted changes.
    ``config`` is the whole config without secrets, defaults included.
    """

    number: int
    time: datetime
    kind: str
    message: str
    result: str
    author: str
    commit: str
    edited: bool
    config: Mapping[str, str] = field(repr=False)
    changes: Sequence[Change] = ()
    replaced: int = 0
    updated: int = 0
    ended: datetime | None = None

    @property
    def is_applied(self) -> bool:
        """Whether this update brought the stack to its config."""
        return self.kind == "update" and self.result == SUCCEEDED


@dataclass(frozen=True)
class Release:
    """A period in which stable ran one image with the same settings, as far as the history shows them.

    ``number`` counts from 1, the stack's first. ``image`` is REPOSITORY@sha256:DIGEST; "" if it was built from source
    and never pinned, since the history does not record it. ``time`` is when the first update to it began. ``result`` is
    "succeeded" if one of its ``updates`` (numbers) succeeded.
    """

    number: int
    time: datetime
    image: str
    message: str
    result: str
    updates: tuple[int, ...]

    @property
    def digest(self) -> str:
        """``sha256:…``; "" if it is unknown."""
        return digest_of(self.image)


def releases(stack: automation.Stack) -> list[Release]:
    """Return the stack's releases, newest first. Raises CommandError if the backend is unreadable."""
    return releases_of(updates(stack))


def updates(stack: automation.Stack, newest: int | None = None) -> list[Update]:
    """Return the stack's updates, newest first: all with their numbers, or only the ``newest`` few without.

    Raises CommandError if the backend is unreadable.
    """
    project = stack.workspace.project_settings().name
    numbered = summaries(stack, newest)
    return _updates_of(numbered if newest is None else [(0, summary) for _, summary in numbered], f"{project}:")


def summaries(
    stack: automation.Stack, newest: int | None = None, *, secrets: bool = False
) -> list[tuple[int, automation.UpdateSummary]]:
    """Return what the backend records of each update, oldest first, with the update's number.

    ``newest``: only these few; their numbers may be wrong. ``secrets``: with decrypted secrets. Raises CommandError if
    the backend is unreadable.
    """
    found: list[automation.UpdateSummary] = []
    try:
        if newest is not None:
            found = stack.history(page_size=newest, page=1, show_secrets=secrets)
        else:
            # Only an empty page is the end: a backend may return smaller pages.
            page = 1
            while batch := stack.history(page_size=PAGE, page=page, show_secrets=secrets):
                found += batch
                page += 1
    except automation.CommandError as error:
        raise CommandError(f"stack `{stack.name}`: cannot read its history: {error_lines(error)}") from None
    return [(summary.version or number, summary) for number, summary in enumerate(reversed(found), start=1)]


def last_config(stack: automation.Stack) -> Mapping[str, str]:
    """Return the config of the stack's last update without secrets; empty before the first one. Raises CommandError."""
    last = updates(stack, newest=1)
    return last[0].config if last else {}


def _updates_of(summaries: Sequence[tuple[int, automation.UpdateSummary]], prefix: str) -> list[Update]:
    updates: list[Update] = []
    before: Mapping[str, str] = declared_defaults()
    for number, summary in summaries:
        environment = summary.environment
        config = {
            key.removeprefix(prefix): SECRET if value.secret else normal_form(value.value)
            for key, value in summary.config.items()
            if key.startswith(prefix)
        }
        config = {**declared_defaults(), **config} if summary.kind == "update" else config
        counts = cast(Mapping[Any, int], summary.resource_changes or {})
        updates.append(
            Update(
                number=number,
                time=summary.start_time.replace(tzinfo=UTC),
                kind=summary.kind,
                message=summary.message.strip(),
                result=summary.result,
                author=environment.get("git.author", ""),
                commit=environment.get("git.head", ""),
                edited=environment.get("git.dirty") == "true",
                config=config,
                changes=differences(before, config) if summary.kind == "update" else (),
                replaced=_count(counts, "replace"),
                updated=_count(counts, "update"),
                ended=summary.end_time.replace(tzinfo=UTC) if summary.end_time else None,
            )
        )
        if summary.kind == "update":
            before = config
    return updates[::-1]


def _count(counts: Mapping[Any, int], operation: str) -> int:
    """Return how many resources an operation changed; its key is text or the Automation API's enumeration."""
    return sum(number for key, number in counts.items() if str(getattr(key, "value", key)) == operation)


def with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Return every declared key in its normal form, so that writing out a default changes nothing."""
    return {key: normal_form(value) for key, value in {**declared_defaults(), **values}.items()}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Return the keys with different values, the release's first."""
    keys = [*RELEASE_KEYS, *sorted({*before, *after} - {*RELEASE_KEYS, BUILD_AHEAD})]
    return [
        Change(key, before.get(key, ""), after.get(key, ""))
        for key in keys
        if before.get(key, "") != after.get(key, "")
    ]


def releases_of(updates: Sequence[Update]) -> list[Release]:
    """Group the updates (newest first) into releases, newest first."""
    groups: list[list[Update]] = []
    fresh = True
    for update in reversed(updates):
        if update.kind == "destroy":
            fresh = True
        elif update.kind == "update":
            if fresh or not _same_release(groups[-1][-1], update):
                groups.append([])
            groups[-1].append(update)
            fresh = False
    return [_release(number, group) for number, group in enumerate(groups, start=1)][::-1]


def _same_release(earlier: Update, later: Update) -> bool:
    if any(earlier.config.get(key, "") != later.config.get(key, "") for key in SETTINGS_KEYS):
        return False
    before, after = earlier.config.get("stableImage", ""), later.config.get("stableImage", "")
    if before == after:
        return bool(after)  # each build from source may be a different image
    return not before and earlier.result == SUCCEEDED and _only_pinned(later)


def _only_pinned(update: Update) -> bool:
    """Return whether an update that pinned stable's image kept the same image.

    A different image would have replaced stable's migration Job or, without one, updated its Deployment.
    """
    migrates = update.config.get("migrateCommand", "[]") != "[]"
    return update.result == SUCCEEDED and not update.replaced and (migrates or not update.updated)


def _release(number: int, group: Sequence[Update]) -> Release:
    succeeded = any(update.result == SUCCEEDED for update in group)
    return Release(
        number=number,
        time=group[0].time,
        image=group[-1].config.get("stableImage", ""),
        message=group[0].message,
        result=SUCCEEDED if succeeded else group[-1].result,
        updates=tuple(update.number for update in group),
    )


def changes_text(changes: Iterable[Change]) -> list[str]:
    """Return a line for each change, and for each value that changed in an object. Secrets are not shown."""
    return [
        f"{row.key}: {short(row.before) or '(unset)'} -> {short(row.after) or '(unset)'}" for row in flattened(changes)
    ]


def flattened(changes: Iterable[Change]) -> list[Change]:
    """Return a change for each value that changed, such as ``environment.LOG_LEVEL``; an encrypted one is hidden."""
    return [leaf for row in changes for leaf in _leaves(row.key, decoded_object(row.before), decoded_object(row.after))]


def _leaves(path: str, before: Any, after: Any) -> list[Change]:
    if before == after:
        return []
    sides = [cast(dict[str, Any], each) if isinstance(each, dict) else None for each in (before, after)]
    if any(side is not None and "secure" not in side for side in sides) and all(
        side is not None or value in ("", None) for side, value in zip(sides, (before, after), strict=True)
    ):
        old, new = (side if side is not None and "secure" not in side else {} for side in sides)
        return [leaf for key in {**old, **new} for leaf in _leaves(f"{path}.{key}", old.get(key, ""), new.get(key, ""))]
    shown = [_shown(each) for each in (before, after)]
    return [Change(path, shown[0], "another secret" if shown[0] == shown[1] == SECRET else shown[1])]


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "secure" in value:
        return SECRET
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value)


def decoded_object(value: str) -> Any:
    """Decode an object, which the engine passes as JSON; return any other text as it is."""
    try:
        return json.loads(value) if value[:1] == "{" else value
    except ValueError:
        return value


def update_of_release(image: str, number: str, updates: Sequence[Update]) -> Update | None:
    """Return the last update in which stable ran an image, within release ``number`` if there is such a release.

    None if the history has no such update. ``updates`` are the stack's, newest first.
    """
    release = next((each for each in releases_of(updates) if str(each.number) == number), None)
    return next(
        (
            update
            for update in updates
            if update.is_applied
            and digest_of(update.config.get("stableImage", "")) == digest_of(image)
            and (release is None or update.number in release.updates)
        ),
        None,
    )


def image_in_history(to: str, releases: Sequence[Release], updates: Sequence[Update]) -> str:
    """Return the image for ``rollback --to``: an image, a digest, its first digits, or a release's number.

    Raises CommandError if none matches, or several do.
    """
    if Image.parse(to):
        return to
    listed = ", ".join(f"{each.number} ({each.digest[:19]})" for each in releases if each.image) or "none"
    if to.isdecimal() and len(to) < DIGEST_DIGITS:
        release = next((each for each in releases if each.number == int(to)), None)
        if release is None or not release.image:
            why = "was built from source and never pinned" if release else "is not in the stack's history"
            raise CommandError(f"--to {to}: release {to} {why}; known releases: {listed}", WRONG_USE)
        return release.image
    by_digest = {
        digest_of(image): image
        for update in reversed(updates)
        for image in (update.config.get("canaryImage", ""), update.config.get("stableImage", ""))
        if Image.parse(image)
    }
    digits = to.removeprefix("sha256:")
    matches = [digest for digest in by_digest if digest.removeprefix("sha256:").startswith(digits)]
    if not re.fullmatch(rf"[0-9a-f]{{{DIGEST_DIGITS},64}}", digits):
        why = f"is neither a release's number nor a digest of {DIGEST_DIGITS} digits or more"
    elif len(matches) == 1:
        return by_digest[matches[0]]
    else:
        count = f"{len(matches)} images in the stack's history start with it"
        why = count if matches else "is not in the stack's history"
    raise CommandError(f"--to {to}: {why}; known releases: {listed}", WRONG_USE)
