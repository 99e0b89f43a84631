"""The recorded trial as the page shows it: both tracks over time, and each check with its range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promotion.state.trial_record import RecordedTrial

#: Maximum number of looks in a chart; of a longer trial every n-th is shown, and always the last.
SHOWN_LOOKS = 200
TRACKS = ("stable", "canary")
FIGURES = ("requests", "error_percent", "median", "tail")


def trial_document(recorded: RecordedTrial, *, running: bool) -> dict[str, Any]:
    """Return the trial as a document; ``running``: the command that judges is still at work."""
    verdict = recorded.verdict or {}
    looks = _thinned(_watched(recorded.looks))
    last: Mapping[str, Any] = recorded.looks[-1] if recorded.looks else {}
    checks: Sequence[Mapping[str, Any]] = verdict.get("checks") or last.get("checks") or []
    return {
        "digest": recorded.digest,
        "running": running and not verdict and recorded.rollback is None,
        "phase": last.get("phase", ""),
        "line": last.get("line", ""),
        "began": verdict.get("began") or (recorded.looks[0]["at"] if recorded.looks else ""),
        "ended": verdict.get("ended", ""),
        "seconds": last.get("seconds", 0.0),
        "planned": last.get("planned", 0.0),
        "looks": [_figures(look) for look in looks],
        "checks": [{**check, "estimates": _estimates(check["name"], looks)} for check in checks],
        "result": verdict.get("result", ""),
        "source": verdict.get("source") or "",
        "reasons": verdict.get("reasons", []),
        "notes": verdict.get("notes", []),
        "rollback": recorded.rollback,
    }


def _watched(looks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one look for each moment at which requests were read; a remark at the same moment has none."""
    by_moment: dict[float, dict[str, Any]] = {}
    for look in looks:
        if look["phase"] == "watching" and look["seconds"]:
            by_moment.setdefault(look["seconds"], look)
    return list(by_moment.values())


def _thinned(looks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    step = -(-len(looks) // SHOWN_LOOKS) or 1
    return list(looks[::-1][::step][::-1])


def _figures(look: Mapping[str, Any]) -> dict[str, Any]:
    tracks = {track: {name: look["tracks"][track][name] for name in FIGURES} for track in TRACKS}
    return {"seconds": look["seconds"], **tracks}


def _estimates(name: str, looks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the check's difference and range at each look that has them."""
    return [
        {"seconds": look["seconds"], **check["estimate"]}
        for look in looks
        for check in look["checks"]
        if check["name"] == name and check.get("estimate")
    ]
