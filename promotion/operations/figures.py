"""Delivery figures of a stack, from its updates: how often, how fast, how often wrong, and how fast right again.

A deployment is an update that gives stable an image and settings that it did not have before, apart from the stack's
first. A return to a version that stable ran before, with `rollback --to`, `undo` or `git revert`, is no deployment: it
makes the one that it leaves a failure. So does an update that did not succeed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from contract.image import digest_of
from promotion.state.history import SETTINGS_KEYS, Update

#: Days that the table looks back.
WINDOWS = (30, 90)
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass
class Deployment:
    """``time`` is the update's end. ``lead`` is in seconds; None if the time of its commit is unknown.

    ``failed``: it did not succeed, or stable left it for an earlier version. ``restored`` is for how many seconds users
    had it until stable was good again; None if they did not have it, or still do.
    """

    time: datetime
    lead: float | None
    failed: bool = False
    restored: float | None = None


@dataclass(frozen=True)
class Figures:
    """The four figures over some days; None where there was nothing to measure. ``days`` is None for all time.

    ``lead`` and ``restore`` are medians in seconds.
    """

    days: int | None
    deployments: int
    failed: int
    per_week: float | None
    lead: float | None
    failure_rate: float | None
    restore: float | None


def deployments_of(updates: Sequence[Update], commit_times: Mapping[str, datetime]) -> list[Deployment]:
    """Return the deployments, oldest first.

    ``updates`` are newest first. The lead time begins with the commit of the first update that named the image: the
    canary's, if there was one. For new settings of an image that stable has, and for an image without a digest, it
    begins with the update's own commit. ``commit_times`` are by commit.
    """
    found: list[Deployment] = []
    path: list[tuple[tuple[str, ...], Deployment | None]] = []
    first_commit: dict[str, str] = {}
    for update in reversed(updates):
        if update.kind != "update":
            path = [] if update.kind == "destroy" else path
            continue
        for key in ("stableImage", "canaryImage"):
            if digest := digest_of(update.config.get(key, "")):
                first_commit.setdefault(digest, update.commit)
        version, end = _version(update), update.ended or update.time
        if path and version == path[-1][0]:
            continue
        place = next((place for place, (each, _) in enumerate(path) if each == version), None)
        if place is not None:
            if update.is_applied:
                _end(path[-1][1], end)
                path = path[: place + 1]
            continue
        digest = digest_of(update.config.get("stableImage", ""))
        has_image = any(each[0] == version[0] for each, _ in path)
        committed = commit_times.get(update.commit if has_image else first_commit.get(digest, update.commit))
        lead = (end - committed).total_seconds() if committed and committed <= end else None
        deployment = Deployment(end, lead, failed=not update.is_applied)
        if path:
            found.append(deployment)
        if update.is_applied:
            path.append((version, deployment if path else None))
    return found


def _version(update: Update) -> tuple[str, ...]:
    """Return the image, by its digest if it has one, and the settings."""
    return (
        digest_of(update.config.get("stableImage", "")) or update.config.get("stableImage", ""),
        *(update.config.get(key, "") for key in SETTINGS_KEYS),
    )


def _end(deployment: Deployment | None, end: datetime) -> None:
    """Mark the deployment that stable leaves as failed."""
    if deployment:
        deployment.failed, deployment.restored = True, (end - deployment.time).total_seconds()


def figures_of(deployments: Iterable[Deployment], now: datetime, days: int | None = None) -> Figures:
    """Return the figures of the last ``days``, or of all time."""
    since = now - timedelta(days=days) if days else None
    own = [each for each in deployments if since is None or each.time >= since]
    failed = [each for each in own if each.failed]
    leads = [each.lead for each in own if each.lead is not None and not each.failed]
    restores = [each.restored for each in own if each.restored is not None]
    return Figures(
        days,
        len(own),
        len(failed),
        len(own) * 7 / days if days else None,
        median(leads) if leads else None,
        len(failed) / len(own) if own else None,
        median(restores) if restores else None,
    )


def figures_text(stack: str, figures: Sequence[Figures]) -> str:
    """Return a table with a column for each window."""
    titles = [f"{each.days} days" if each.days else "all" for each in figures]
    rows = [
        ("", titles),
        ("deployments", [str(each.deployments) for each in figures]),
        ("deployments a week", [_shown(each.per_week, "{:.1f}") for each in figures]),
        ("lead time (median)", [_duration(each.lead) for each in figures]),
        ("change failure rate", [_shown(each.failure_rate, "{:.0%}") for each in figures]),
        ("time to restore (median)", [_duration(each.restore) for each in figures]),
    ]
    lines = [f"{name:<25}" + "".join(f"{cell:>12}" for cell in cells) for name, cells in rows]
    return "\n".join([f"delivery of stack {stack}", *lines])


def figures_json(stack: str, figures: Sequence[Figures]) -> dict[str, Any]:
    """Return the figures for scripts; times in seconds."""
    return {
        "stack": stack,
        "figures": [
            {
                "days": each.days,
                "deployments": each.deployments,
                "failedDeployments": each.failed,
                "deploymentsPerWeek": each.per_week,
                "leadSeconds": each.lead,
                "changeFailureRate": each.failure_rate,
                "restoreSeconds": each.restore,
            }
            for each in figures
        ],
    }


def figures_prometheus(stack: str, deployments: Sequence[Deployment]) -> str:
    """Return the deployments since the stack's first update in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(stack, deployments))
    return generate_latest(registry).decode()


class _Collector:
    def __init__(self, stack: str, deployments: Sequence[Deployment]) -> None:
        self._stack = stack
        self._deployments = deployments

    def collect(self) -> Iterable[Metric]:
        own, names = self._deployments, [self._stack]
        # Without regard to failures: a counter must not fall when a deployment turns out to be one.
        leads = [each.lead for each in own if each.lead is not None]
        restores = [each.restored for each in own if each.restored is not None]
        counts = (
            ("delivery_deployments", "Updates that gave stable a new version.", len(own)),
            (
                "delivery_failed_deployments",
                "Deployments that did not succeed, or that stable left for an earlier version.",
                sum(each.failed for each in own),
            ),
        )
        for name, text, count in counts:
            counter = CounterMetricFamily(name, text, labels=["stack"])
            counter.add_metric(names, count)
            yield counter
        for name, text, values in (
            ("delivery_lead_time_seconds", "From the commit that named the image to the end of its deployment.", leads),
            ("delivery_restore_seconds", "From the end of a failed deployment to the end of the way back.", restores),
        ):
            summary = SummaryMetricFamily(name, text, labels=["stack"])
            summary.add_metric(names, len(values), sum(values))
            yield summary
        if own:
            last = GaugeMetricFamily("delivery_last_deployment_timestamp_seconds", "Unix time.", labels=["stack"])
            last.add_metric(names, own[-1].time.timestamp())
            yield last


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _duration(value: float | None) -> str:
    """Return a duration in its two largest units, such as ``2 h 5 min``."""
    if value is None:
        return "-"
    seconds, parts = round(value), list[str]()
    for size, unit in UNITS:
        if seconds >= size and len(parts) < 2:
            parts.append(f"{seconds // size} {unit}")
        seconds %= size
    return " ".join(parts) or "0 s"
