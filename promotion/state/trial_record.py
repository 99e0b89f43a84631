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


@dataclass
class RecordedTrial:
    """The last trial of a stack, of the image with this ``digest``.

    ``looks`` are the observations, oldest first. ``verdict`` is None until the trial is over, and after an interrupted
    one. ``rollback`` is set if a command rolled the canary back: ``time``, ``why`` and ``findings`` of the diagnosis.
    """

    digest: str
    looks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    verdict: dict[str, Any] | None = None
    rollback: dict[str, Any] | None = None


def record_file(stack: str, folder: Path | None = None) -> Path:
    """Return the stack's record. Names with and without organization share it, as they share the stack file."""
    return (folder or LOCKS) / f"{stack.rpartition('/')[2]}.trial.jsonl"


def begin_record(stack: str, digest: str, folder: Path | None = None) -> None:
    """Begin the record of a trial of the image with this digest, in place of the last one."""
    path = record_file(stack, folder)
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
    _append(path, {"digest": digest})


def record(stack: str, digest: str, folder: Path | None = None, **entry: Any) -> None:
    """Add ``look``, ``verdict`` or ``rollback`` to the record; first begin it if the last trial was of another image.

    A full disk never stops a trial or a roll-back: what cannot be written is left out.
    """
    last = read_record(stack, folder)
    if last is None or last.digest != digest:
        begin_record(stack, digest, folder)
    _append(record_file(stack, folder), entry)


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    line = json.dumps(entry, ensure_ascii=False) + "\n"
    with suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def read_record(stack: str, folder: Path | None = None) -> RecordedTrial | None:
    """Return the stack's last trial; None if this checkout has no record of one."""
    try:
        lines = record_file(stack, folder).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    trial: RecordedTrial | None = None
    for line in lines:
        with suppress(ValueError):
            entry = cast(dict[str, Any], json.loads(line))
            if "digest" in entry:
                trial = RecordedTrial(entry["digest"])
            elif trial is not None:
                trial.looks += [entry["look"]] if "look" in entry else []
                trial.verdict = entry.get("verdict", trial.verdict)
                trial.rollback = entry.get("rollback", trial.rollback)
    return trial
