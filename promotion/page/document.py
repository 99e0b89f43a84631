"""The document of a page: what `status`, `history`, `diagnose` and the trial's record say of a stack, in one piece."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contract.image import short
from promotion.errors import CommandError
from promotion.operations.timeline import timeline, timeline_json
from promotion.page.stage import Standing, standing_of, unreadable
from promotion.page.trial import trial_document
from promotion.state import git, history
from promotion.state.history import RELEASE_KEYS, Change, flattened
from promotion.state.locks import checkout_lock_holder
from promotion.state.trial_record import read_record, record_file
from promotion.status.live import Meter
from promotion.status.status import Observer, Status, status_json

if TYPE_CHECKING:
    from pulumi import automation

    from contract.judging import RequestMetrics
    from promotion.state.stack_file import StackFile

#: Entries of the timeline on the page.
SHOWN_MOVES = 20
#: Seconds between two diagnoses of a release in which nothing is missing.
DIAGNOSIS_SECONDS = 30.0


class StackReader:
    """Read one stack's document, once or repeatedly. What changes rarely is read only when it may have changed."""

    def __init__(self, stack: automation.Stack, file: StackFile, metrics: RequestMetrics) -> None:
        self._stack = stack
        self._file = file
        self._observer = Observer(stack, file, Meter(True, metrics))
        self._history: dict[str, Any] | None = None
        self._last_update: datetime | None = None
        self._findings: tuple[list[dict[str, Any]], str] = ([], "")
        self._diagnosed = float("-inf")
        self._document: dict[str, Any] | None = None
        self._authors: dict[str, str] = {}

    @property
    def trial_changed(self) -> float:
        """When the trial's record was last written; 0 without one."""
        try:
            return record_file(self._file).stat().st_mtime
        except OSError:
            return 0.0

    def read(self) -> dict[str, Any]:
        """Return the stack's document; one with an ``error`` if the stack cannot be read."""
        name = self._stack.name
        try:
            status = self._observer.look()
            findings, undiagnosed = self._diagnosis(status)
            moves, unread = self._moves(status)
        except CommandError as error:
            self._document = None
            return failed_document(name, str(error))
        self._authors = self._authors_of(status)
        document = status_json(status)
        self._document = stack_document(document, self._trial(), findings, moves, undiagnosed, unread, self._authors)
        return self._document

    def read_trial(self) -> dict[str, Any]:
        """Return the last document with the trial as it is now."""
        last = self._document
        if last is None:
            return self.read()
        parts = (last["status"], self._trial(), last["findings"], last["history"])
        self._document = stack_document(*parts, last["undiagnosed"], last["unread"], self._authors)
        return self._document

    def _trial(self) -> dict[str, Any] | None:
        recorded = read_record(self._file)
        running = bool(checkout_lock_holder(self._stack.name))
        return trial_document(recorded, running=running) if recorded else None

    def _diagnosis(self, status: Status) -> tuple[list[dict[str, Any]], str]:
        """Return the findings, and why there is no diagnosis."""
        from promotion.diagnosis.diagnose import diagnose, diagnosis_json
        from promotion.status.status import missing

        cluster = self._observer.cluster
        if cluster is None:
            self._diagnosed = float("-inf")
            return [], "the cluster cannot be reached"
        if missing(status) or time.monotonic() >= self._diagnosed + DIAGNOSIS_SECONDS:
            try:
                self._findings = diagnosis_json(diagnose(cluster)), ""
            except CommandError as error:
                self._findings = [], str(error)
            self._diagnosed = time.monotonic()
        return self._findings

    def _authors_of(self, status: Status) -> dict[str, str]:
        revisions = {name: track.revision for name, track in (status.live or {}).items()}
        known = {revision: git.author_of(self._file, revision) for revision in {*revisions.values()}}
        return {name: known[revision] for name, revision in revisions.items()}

    def _moves(self, status: Status) -> tuple[dict[str, Any] | None, str]:
        """Return the timeline as `history --output json` has it, and what could not be read of it."""
        last = status.last.time if status.last else None
        if self._history is None or last != self._last_update:
            updates = history.updates(self._stack)
            unread, commits, complete = "", [], True
            try:
                commits, complete = git.commits(self._file, SHOWN_MOVES), not git.is_shallow(self._file)
            except CommandError as error:
                unread = str(error)
            entries = timeline(updates, commits)[:SHOWN_MOVES]
            releases = history.releases_of(updates)
            self._history = {**timeline_json(self._stack.name, entries, releases, complete), "unread": unread}
            self._last_update = last
        return self._history, self._history["unread"]


def stack_document(
    status: Mapping[str, Any],
    trial: dict[str, Any] | None,
    findings: Sequence[Mapping[str, Any]] = (),
    moves: Mapping[str, Any] | None = None,
    undiagnosed: str = "",
    unread: str = "",
    authors: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the document of a stack that could be read. ``status`` is `status --output json`.

    ``authors`` wrote the tracks' revisions. Where Git does not know them, the timeline says who put the image there.
    """
    broken = [str(each["what"]) for each in findings if not each["notice"]] or list(status["missing"])
    standing = standing_of(status, trial, broken)
    return {
        **_standing(str(status["stack"]), standing),
        "error": "",
        "status": status,
        "authors": {
            track: (authors or {}).get(track) or _author(each, moves) for track, each in status["tracks"].items()
        },
        "trial": trial,
        "findings": list(findings),
        "undiagnosed": undiagnosed,
        "history": moves,
        "unread": unread,
    }


def failed_document(stack: str, error: str) -> dict[str, Any]:
    """Return the document of a stack that could not be read."""
    return {
        **_standing(stack, unreadable(error)),
        "error": error,
        "status": None,
        "authors": {},
        "trial": None,
        "findings": [],
        "undiagnosed": "",
        "history": None,
        "unread": "",
    }


def _standing(stack: str, standing: Standing) -> dict[str, Any]:
    steps = [asdict(step) for step in standing.steps]
    headline = standing.headline[:1].upper() + standing.headline[1:]
    return {"stack": stack, "stage": standing.stage, "headline": headline, "next": steps}


def _author(track: Mapping[str, Any], moves: Mapping[str, Any] | None) -> str:
    """Return who first put the track's image into the stack, as far as the timeline shows it; "" if it does not."""
    entries: Sequence[Mapping[str, Any]] = moves["moves"] if moves else ()
    for move in reversed(entries):
        images = [change["after"] for change in move["changes"] if change["key"] in ("stableImage", "canaryImage")]
        if move["author"] and track["image"] in images:
            return str(move["author"])
    return ""


def changed_lines(move: Mapping[str, Any], *, public: bool) -> list[Change]:
    """Return a move's changes, value by value and without secrets.

    ``public``: more people may read them, so that keys that are not the release's have no values.
    """
    changes = flattened(Change(each["key"], each["before"], each["after"]) for each in move["changes"])
    hidden = [public and each.key.partition(".")[0] not in RELEASE_KEYS for each in changes]
    return [
        Change(each.key, "", "") if is_hidden else Change(each.key, short(each.before), short(each.after))
        for each, is_hidden in zip(changes, hidden, strict=True)
    ]
