"""Remember failed downloads for a day, because a retry costs time and seldom succeeds."""

from __future__ import annotations

import json
import time

from lab.files import write
from lab.layout import Lab

RETRY_SECONDS = 24 * 3600.0


def _entries(lab: Lab) -> dict[str, dict[str, object]]:
    try:
        return json.loads((lab.cache / "refusals.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def refusals(lab: Lab) -> dict[str, str]:
    """Return the refusals of the last day and their reasons."""
    return {name: reason for name in _entries(lab) if (reason := refused(lab, name))}


def refused(lab: Lab, name: str) -> str | None:
    """Return why `name` was refused within the last day, or None."""
    entry = _entries(lab).get(name)
    if entry is None or time.time() - float(str(entry["time"])) > RETRY_SECONDS:
        return None
    return str(entry["reason"])


def refuse(lab: Lab, name: str, reason: str) -> None:
    """Remember that `name` is not available, and why."""
    entries = {**_entries(lab), name: {"reason": reason, "time": time.time()}}
    write(lab.cache / "refusals.json", json.dumps(entries, indent=2))


def forget(lab: Lab) -> None:
    """Forget all refusals."""
    (lab.cache / "refusals.json").unlink(missing_ok=True)
