"""Answers that cost time to get and seldom change: what could not be reached, kept in the cache for a day."""

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
    """What was refused within the last day -> why."""
    return {what: str(reason) for what in _entries(lab) if (reason := refused(lab, what))}


def refused(lab: Lab, what: str) -> str | None:
    """Why `what` was refused within the last day, or None."""
    entry = _entries(lab).get(what)
    if entry is None or time.time() - float(str(entry["time"])) > RETRY_SECONDS:
        return None
    return str(entry["reason"])


def refuse(lab: Lab, what: str, reason: str) -> None:
    """Remember that `what` can't be had, and why."""
    entries = {**_entries(lab), what: {"reason": reason, "time": time.time()}}
    write(lab.cache / "refusals.json", json.dumps(entries, indent=2))


def forget(lab: Lab) -> None:
    """Ask again for everything that was refused."""
    (lab.cache / "refusals.json").unlink(missing_ok=True)
