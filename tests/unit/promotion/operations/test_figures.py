"""Delivery figures from a stack's updates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from promotion.operations.figures import (
    Deployment,
    deployments_of,
    figures_json,
    figures_of,
    figures_prometheus,
    figures_text,
)
from promotion.state.history import SECRET, Update
from tests.unit.promotion.operations.fake_stack import NEW, OLD, OTHER

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = ({"stableImage": image} for image in (OLD, NEW, OTHER))
TRIAL = {**A, "canaryImage": NEW, "canaryReplicas": "1"}


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def updates(*steps: tuple[float, Mapping[str, str]]) -> list[Update]:
    """Return updates, newest first, each of which began 36 s before its hour; the keys in capitals are its own."""
    found: list[Update] = []
    for number, (end, step) in enumerate(steps, start=1):
        own = {"KIND": "update", "RESULT": "succeeded", "COMMIT": "", **step}
        config = {key: value for key, value in step.items() if not key.isupper()}
        described: dict[str, Any] = {"author": "", "message": "", "edited": False, "config": config}
        time, kind, result = hour(end) - timedelta(seconds=36), own["KIND"], own["RESULT"]
        found.append(Update(number, time, kind, result=result, commit=own["COMMIT"], ended=hour(end), **described))
    return found[::-1]


def measured(*steps: tuple[float, Mapping[str, str]]) -> list[tuple[float, bool, float | None]]:
    """Return hour, failure and hours to the way back of each deployment."""
    return [
        ((each.time - START) / timedelta(hours=1), each.failed, each.restored / 3600 if each.restored else None)
        for each in deployments_of(updates(*steps), {})
    ]


FAILED = {"RESULT": "failed"}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(0, A)], []),
        ([(0, A), (1, TRIAL), (2, A)], []),
        ([(0, A), (1, TRIAL), (2, B), (3, {**B, "stableReplicas": "5"})], [(2, False, None)]),
        ([(0, A), (1, B), (4, A)], [(1, True, 3)]),
        ([(0, A), (1, B), (2, A), (3, C)], [(1, True, 1), (3, False, None)]),
        ([(0, A), (1, B), (2, C), (3, A)], [(1, False, None), (2, True, 1)]),
        ([(0, A), (1, {**B, **FAILED}), (2, A)], [(1, True, None)]),
        ([(0, A), (1, {**B, **FAILED}), (2, B)], [(1, True, None), (2, False, None)]),
        ([(0, A), (1, B), (2, {**A, **FAILED}), (5, A)], [(1, True, 4)]),
        ([(0, A), (1, {**A, "memoryLimit": "1Gi"}), (2, A)], [(1, True, 1)]),
        ([(0, A), (1, {**A, "secretEnvironment": SECRET})], [(1, False, None)]),
        ([(0, A), (1, {"KIND": "destroy"}), (2, B), (3, C)], [(3, False, None)]),
        ([(0, A), (1, {**B, "KIND": "refresh"}), (2, A)], []),
    ],
)
def test_deployments_failures_and_returns(
    steps: list[tuple[float, Mapping[str, str]]], expected: list[tuple[float, bool, float | None]]
):
    assert measured(*steps) == expected


def test_lead_time_begins_with_the_canarys_commit():
    steps = updates((0, {**A, "COMMIT": "c0"}), (2, {**TRIAL, "COMMIT": "c1"}), (5, {**B, "COMMIT": "c2"}))
    times = {"c0": hour(-9), "c1": hour(1), "c2": hour(4)}
    assert [each.lead for each in deployments_of(steps, times)] == [4 * 3600]
    assert [each.lead for each in deployments_of(steps, {})] == [None]


@pytest.mark.parametrize(
    ("steps", "leads"),
    [
        ([(0, A, "c0"), (5, {**A, "memoryLimit": "1Gi"}, "c2")], [1]),
        ([(0, A, "c0"), (3, B, "c1"), (5, {**B, "memoryLimit": "1Gi"}, "c2")], [2, 1]),
        ([(0, {}, "c0"), (5, {"memoryLimit": "1Gi"}, "c2")], [1]),
        ([(0, {"stableImage": "a:1"}, "c0"), (5, {"stableImage": "a:2"}, "c2")], [1]),
        ([(0, A, "c0"), (3, {**B, **FAILED}, "c1"), (5, B, "c2")], [2, 4]),
    ],
    ids=["settings", "settings of a new image", "built from source", "without digest", "again after a failure"],
)
def test_lead_time_begins_with_what_is_new(steps: list[tuple[float, Mapping[str, str], str]], leads: list[float]):
    times = {"c0": hour(-9), "c1": hour(1), "c2": hour(4)}
    made = updates(*((end, {**config, "COMMIT": commit}) for end, config, commit in steps))
    assert [(each.lead or 0) / 3600 for each in deployments_of(made, times)] == leads


DEPLOYMENTS = [
    Deployment(hour(-24 * 60), 60),
    Deployment(hour(0), 7500, failed=True, restored=240),
    Deployment(hour(1), 3600),
    Deployment(hour(2), 10800),
]


def test_the_table_shows_each_window():
    figures = [figures_of(DEPLOYMENTS, hour(24), days) for days in (30, 90, None)]
    assert figures_text("prod", figures).splitlines() == [
        "delivery of stack prod",
        "                              30 days     90 days         all",
        "deployments                         3           4           4",
        "deployments a week                0.7         0.3           -",
        "lead time (median)                2 h         1 h         1 h",
        "change failure rate               33%         25%         25%",
        "time to restore (median)        4 min       4 min       4 min",
    ]
    assert figures_json("prod", figures[:1])["figures"] == [
        {
            "days": 30,
            "deployments": 3,
            "failedDeployments": 1,
            "deploymentsPerWeek": pytest.approx(0.7),
            "leadSeconds": 7200,
            "changeFailureRate": pytest.approx(1 / 3),
            "restoreSeconds": 240,
        }
    ]


def test_nothing_measured_is_no_zero():
    assert figures_text("prod", [figures_of([], hour(0), 30)]).splitlines()[2:] == [
        "deployments                         0",
        "deployments a week                0.0",
        "lead time (median)                  -",
        "change failure rate                 -",
        "time to restore (median)            -",
    ]


def test_prometheus_reads_the_figures():
    families = text_string_to_metric_families(figures_prometheus("prod", DEPLOYMENTS))
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    assert samples == {
        "delivery_deployments_total": 4,
        "delivery_failed_deployments_total": 1,
        "delivery_lead_time_seconds_count": 4,
        "delivery_lead_time_seconds_sum": 21960,
        "delivery_restore_seconds_count": 1,
        "delivery_restore_seconds_sum": 240,
        "delivery_last_deployment_timestamp_seconds": hour(2).timestamp(),
    }
    labels = {tuple(sample.labels.items()) for family in families for sample in family.samples}
    assert labels <= {(("stack", "prod"),)}


def test_counters_never_go_down():
    """A later rollback makes an earlier deployment a failure."""
    steps = [(0, A), (1, B), (2, C), (3, B), (4, {**C, **FAILED}), (5, A), (6, C)]
    times = {"": hour(-1)}
    previous: dict[str, float] = {}
    for count in range(1, len(steps) + 1):
        text = figures_prometheus("prod", deployments_of(updates(*steps[:count]), times))
        samples = {each.name: each.value for family in text_string_to_metric_families(text) for each in family.samples}
        assert all(samples.get(name, 0) >= value for name, value in previous.items()), (count, previous, samples)
        previous = samples
