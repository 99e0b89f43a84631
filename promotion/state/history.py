"""Updates and releases of a stack, from the history that its state backend keeps anyway."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from pulumi import automation

from contract.project import declared_defaults
from contract.settings import ReleaseSettings
from promotion.errors import CommandError
from promotion.state.engine import last_lines

#: Set while an image is built ahead of the update that runs it; says nothing about what runs.
BUILD_AHEAD = "buildAhead"
#: Keys that say what runs, in the order in which a person reads them.
RELEASE_KEYS = tuple(key for key in declared_defaults() if key in ReleaseSettings.key_names() - {BUILD_AHEAD})
#: Updates asked for at a time. Without a size the Automation API gets the engine's default, which is 10 and not "all".
PAGE = 200
#: ``REPOSITORY@sha256:DIGEST``, shortened to what tells images apart.
DIGEST = re.compile(r"(?:[^\s@]+@)?(sha256:[0-9a-f]{12})[0-9a-f]{52}")
SUCCEEDED = "succeeded"
#: Stands for a value that was encrypted.
SECRET = "[secret]"  # noqa: S105 a mark, and no secret


@dataclass(frozen=True)
class Change:
    """A config key that an update or a commit changed; "" is unset."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class Update:
    """A run of the engine that could change the stack: ``up``, ``refresh``, ``destroy``, …

    ``number`` counts from 1, the stack's first; ``author`` and ``commit`` are those of the Git commit that was checked
    out, and ``edited`` says that files had been changed since (the backends outside Pulumi Cloud record no user).
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


@dataclass(frozen=True)
class Release:
    """A time in which stable ran one image.

    ``number`` counts from 1, the stack's first. ``image`` is REPOSITORY@sha256:DIGEST; "" where it was built from
    source and never pinned, so that history does not know it. ``time`` is when the first update to it began, and
    ``result`` "succeeded" when one of them did.
    """

    number: int
    time: datetime
    image: str
    message: str
    result: str
    updates: tuple[int, ...]

    @property
    def digest(self) -> str:
        """``sha256:…``, "" where it is not known."""
        return self.image.partition("@")[2]


def releases(stack: automation.Stack) -> list[Release]:
    """Releases of the stack, newest first. Raises CommandError when the backend cannot be read."""
    return releases_of(updates(stack))


def updates(stack: automation.Stack, newest: int | None = None) -> list[Update]:
    """Updates of the stack, newest first; ``newest`` of them, without their numbers (0), or all of them.

    Raises CommandError when the backend cannot be read.
    """
    project = stack.workspace.project_settings().name
    summaries: list[automation.UpdateSummary] = []
    try:
        if newest is not None:
            summaries = stack.history(page_size=newest, page=1, show_secrets=False)
        else:
            # To the empty page, since a backend may give fewer than were asked for.
            page = 1
            while found := stack.history(page_size=PAGE, page=page, show_secrets=False):
                summaries += found
                page += 1
    except automation.CommandError as error:
        raise CommandError(f"the history of stack `{stack.name}` cannot be read: {last_lines(error)}") from None
    return _told(summaries, f"{project}:", total=len(summaries) if newest is None else None)


def _told(summaries: Sequence[automation.UpdateSummary], prefix: str, total: int | None) -> list[Update]:
    found: list[Update] = []
    before: Mapping[str, str] = declared_defaults()
    for number, summary in enumerate(reversed(summaries), start=1):
        environment = summary.environment
        config = {
            key.removeprefix(prefix): SECRET if value.secret else one_form(value.value)
            for key, value in summary.config.items()
            if key.startswith(prefix)
        }
        config = {**declared_defaults(), **config} if summary.kind == "update" else config
        counts = cast(Mapping[Any, int], summary.resource_changes or {})
        found.append(
            Update(
                number=(summary.version or number) if total is not None else 0,
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
            )
        )
        if summary.kind == "update":
            before = config
    return found[::-1]


def _count(counts: Mapping[Any, int], operation: str) -> int:
    """How many resources an operation changed; its key is text or the Automation API's enumeration."""
    return sum(number for key, number in counts.items() if str(getattr(key, "value", key)) == operation)


def one_form(value: str) -> str:
    """Arrays and objects in one way of writing JSON: the engine's, the schema's and a person's differ in spaces."""
    try:
        return json.dumps(json.loads(value)) if value[:1] in ("[", "{") else value
    except ValueError:
        return value


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Keys with another value, those of the release first."""
    keys = [*RELEASE_KEYS, *sorted({*before, *after} - {*RELEASE_KEYS, BUILD_AHEAD})]
    return [
        Change(key, before.get(key, ""), after.get(key, ""))
        for key in keys
        if before.get(key, "") != after.get(key, "")
    ]


def releases_of(found: Sequence[Update]) -> list[Release]:
    """Releases that the updates (newest first) made, newest first."""
    groups: list[list[Update]] = []
    fresh = True
    for update in reversed(found):
        if update.kind == "destroy":
            fresh = True
        elif update.kind == "update":
            if fresh or not _same_release(groups[-1][-1], update):
                groups.append([])
            groups[-1].append(update)
            fresh = False
    return [_release(number, group) for number, group in enumerate(groups, start=1)][::-1]


def _same_release(earlier: Update, later: Update) -> bool:
    before, after = earlier.config.get("stableImage", ""), later.config.get("stableImage", "")
    if before == after:
        return bool(after)  # each build from source may be another image
    return not before and earlier.result == SUCCEEDED and _only_pinned(later)


def _only_pinned(update: Update) -> bool:
    """Whether an update that pinned stable's image left the image as it was.

    Another image would have replaced stable's migration Job or, where there is none, updated its Deployment.
    """
    migrates = update.config.get("migrateCommand", "[]") != "[]"
    return update.result == SUCCEEDED and not update.replaced and (migrates or not update.updated)


def _release(number: int, group: Sequence[Update]) -> Release:
    done = [update for update in group if update.result == SUCCEEDED]
    return Release(
        number=number,
        time=group[0].time,
        image=group[-1].config.get("stableImage", ""),
        message=group[0].message,
        result=SUCCEEDED if done else group[-1].result,
        updates=tuple(update.number for update in group),
    )


def short(text: str) -> str:
    """The text with image references shortened to the first digits of their digests."""
    return DIGEST.sub(r"\1", text)


def changes_text(changes: Iterable[Change]) -> list[str]:
    """A line for each change."""
    return [f"{row.key}: {short(row.before) or '(unset)'} -> {short(row.after) or '(unset)'}" for row in changes]
