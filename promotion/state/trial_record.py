"""The record of a stack's last trial in this checkout, so that another process can show the trial while it runs.

The file has one JSON document per line: what each look saw, then the verdict or the roll-back. Each line is written in
one piece, and a reader ignores a truncated last one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from promotion.state.locks import LOCKS
from promotion.state.stack_file import StackFile
from promotion.state.verdict_record import utc_stamp


@dataclass
class RecordedTrial:
    """The last trial of a stack, of the image with this ``digest``.

    ``looks`` are the observations, oldest first. ``verdict`` is None until the trial is over, and after an interrupted
    one. ``rollback`` is set if a command rolled the canary back: ``time``, ``why``, and the ``diagnosis`` as text.
    """

    digest: str
    looks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    verdict: dict[str, Any] | None = None
    rollback: dict[str, Any] | None = None


def record_file(file: StackFile) -> Path:
    """Return the record of a stack, by its stack file: in the folder of the checkout's locks."""
    return file.path.parent / LOCKS.name / f"{file.path.stem.removeprefix('Pulumi.')}.trial.jsonl"


@dataclass
class TrialRecorder:
    """Write a trial's record. A full disk never stops a trial or a roll-back: what cannot be written is left out."""

    file: StackFile
    _begun: bool = False

    def look(self, digest: str, look: Mapping[str, Any]) -> None:
        """Record what a look saw of the image with this digest. The first look replaces the last trial's record."""
        if not self._begun:
            self._begin(digest)
        self._append(look=look)

    def verdict(self, verdict: Mapping[str, Any]) -> None:
        """Record the verdict."""
        self._append(verdict=verdict)

    def rollback(self, digest: str, why: str, diagnosis: str) -> None:
        """Record that the canary was rolled back; one that never came to a trial gets a record of its own."""
        last = read_record(self.file)
        if last is None or last.digest != digest:
            self._begin(digest)
        self._append(rollback={"time": utc_stamp(), "why": why, "diagnosis": diagnosis})

    def _begin(self, digest: str) -> None:
        self._begun = True
        path = record_file(self.file)
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
        self._append(digest=digest)

    def _append(self, **entry: Any) -> None:
        with suppress(OSError, TypeError, ValueError):  # no bug of the record may stop a roll-back either
            line = json.dumps(entry, ensure_ascii=False) + "\n"
            handle = os.open(record_file(self.file), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                os.write(handle, line.encode(errors="replace"))
            finally:
                os.close(handle)


def read_record(file: StackFile) -> RecordedTrial | None:
    """Return the stack's last trial; None if this checkout has no record of one."""
    try:
        lines = record_file(file).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return None
    trial: RecordedTrial | None = None
    for line in lines:
        with suppress(ValueError):
            decoded = json.loads(line)
            entry = cast(dict[str, Any], decoded) if isinstance(decoded, dict) else {}
            if "digest" in entry:
                trial = RecordedTrial(entry["digest"])
            elif trial is not None:
                trial.looks += [entry["look"]] if "look" in entry else []
                trial.verdict = entry.get("verdict", trial.verdict)
                trial.rollback = entry.get("rollback", trial.rollback)
    return trial
