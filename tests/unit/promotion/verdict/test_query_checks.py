"""Checks by query: what Prometheus is asked, how its answers are judged, and the promise in simulated worlds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.judging import QueryCheck
from promotion.state.cluster.cluster import Cluster
from promotion.state.prometheus import Prometheus
from promotion.verdict.query_checks import QueryChecks
from promotion.verdict.result import Check
from tests.unit.promotion.verdict.promise import FALSE_ALARMS, FIGURE_WORLDS, FIGURES, IDENTICAL, MISSES, WORLDS
from tests.unit.promotion.verdict.simulation import judge_figure

TRIALS = 100
DURATION, EVERY = 300, 15
QUERY = 'sum(rate(orders_total{app="$service", track="$track", namespace="$namespace"}[1m]))'
BEGAN = 1_700_000_000.0


@pytest.mark.parametrize("figure", ["failing", "seconds"])
@pytest.mark.parametrize("world", FIGURE_WORLDS)
def test_the_promise_holds_for_figures(world: str, figure: str) -> None:
    check, bad = FIGURES[figure]
    assert judge_figure(WORLDS[world], IDENTICAL, check, TRIALS, seed=21).unhealthy <= FALSE_ALARMS * TRIALS
    assert judge_figure(WORLDS[world], bad, check, TRIALS, seed=22).healthy <= MISSES * TRIALS


@dataclass
class Server:
    """A Prometheus whose answers to a range query are ``values`` by track, one for each step, or an ``error``."""

    values: Mapping[str, Sequence[float]]
    series: int = 1
    error: tuple[int, str] | None = None
    asked: list[dict[str, list[str]]] = field(default_factory=list[Any])
    where: str = "https://prometheus.test"

    def get(self, path: str) -> tuple[int, str]:
        query = parse_qs(urlsplit(path).query)
        if query["query"] == ["time()"]:
            return 200, json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [0, str(BEGAN)]}})
        self.asked.append(query)
        if self.error:
            status, message = self.error
            return status, json.dumps({"status": "error", "error": message})
        track = "canary" if "canary" in query["query"][0] else "stable"
        (start,), (end,), (step,) = (map(float, query[name]) for name in ("start", "end", "step"))
        times = [start + number * step for number in range(round((end - start) / step) + 1)]
        values = [[time, str(value)] for time, value in zip(times, self.values[track], strict=False)]
        result = [{"metric": {}, "values": values}] * (self.series if values else 0)
        return 200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


class Names:
    """What a query may name of the cluster."""

    namespace, service = "prod", "shop"


def judged(
    server: Server, look_seconds: Sequence[float] = (DURATION,), **check: Any
) -> tuple[list[Check], QueryChecks]:
    """Return the check at each look, of which the last ends the trial."""
    values = {"name": "orders", "query": QUERY, "better": "higher", "limit": 0.5, **check}
    one = QueryCheck.model_validate(values)
    checks = QueryChecks([one], Prometheus(server), cast(Cluster, Names()), look_seconds[-1])
    return [each for seconds in look_seconds for each in checks.look(seconds, last=seconds == look_seconds[-1])], checks


def steady(value: float, count: int = 20) -> list[float]:
    """Return values that scatter a little around their mean."""
    return [value + 0.1 * (-1) ** number for number in range(count)]


@pytest.mark.parametrize(
    ("canary", "stable", "check", "result"),
    [
        (steady(5), steady(5), {}, "healthy"),
        (steady(4), steady(5), {}, "unhealthy"),
        (steady(6), steady(5), {}, "healthy"),
        (steady(6), steady(5), {"better": "lower"}, "unhealthy"),
        (steady(5.4), steady(5), {"better": "lower", "limit": "10%"}, "healthy"),
        (steady(6), steady(5), {"better": "lower", "limit": "10%"}, "unhealthy"),
        ([0.0] * 20, [0.0] * 20, {}, "healthy"),
        ([*steady(5, 10), *steady(4, 10)], steady(5), {}, "inconclusive"),
        (steady(5, 9), steady(5), {}, "inconclusive"),
    ],
)
def test_the_canarys_figure_is_compared(
    canary: list[float], stable: list[float], check: dict[str, Any], result: str
) -> None:
    ((judged_check,), _) = judged(Server({"canary": canary, "stable": stable}), **check)
    assert judged_check.result == result, judged_check
    assert bool(judged_check.reason) is (result != "healthy")


def test_queries_name_the_track_and_the_trials_intervals() -> None:
    server = Server({"canary": steady(5), "stable": steady(5)})
    judged(server)
    begin = {"start": [f"{BEGAN - DURATION + EVERY:.3f}"], "end": [f"{BEGAN:.3f}"], "step": [str(EVERY)]}
    for track, query in zip(("canary", "stable"), server.asked, strict=True):
        asked = f'sum(rate(orders_total{{app="shop", track="{track}", namespace="prod"}}[1m]))'
        assert query == {"query": [asked], **begin}


def test_prometheus_is_asked_once_for_each_value() -> None:
    server = Server({"canary": steady(5), "stable": steady(5)})
    judged(server, look_seconds=(2, 16, 18, 29, 31, 150))
    ends = [float(query["end"][0]) - float(query["start"][0]) for query in server.asked[::2]]
    assert ends == [0, 15, 135]


def test_a_bad_figure_ends_the_trial_early() -> None:
    looks = range(EVERY, DURATION + 1, EVERY)
    checks, _ = judged(Server({"canary": steady(2), "stable": steady(5)}), look_seconds=looks)
    assert [check.result for check in checks].index("unhealthy") == 9
    assert checks[9].reason.startswith("the canary's figure is below stable's by more than 0.5")


@pytest.mark.parametrize(
    ("server", "reason", "for_good"),
    [
        (Server({"canary": [], "stable": steady(5)}), r"no number for the canary, .*: `sum\(rate\(orders", False),
        (Server({"canary": steady(5), "stable": [math.nan] * 20}), "no number for the stable", False),
        (Server({"canary": steady(5, 4), "stable": steady(5)}), "4 values of both tracks, .*longer trial", False),
        (Server({"canary": steady(5), "stable": steady(5)}, series=2), "returns 2 series: aggregate them", True),
        (Server({}, error=(400, "parse error")), "Prometheus cannot answer `.*`: parse error", True),
        (Server({}, error=(503, "overloaded")), r"Prometheus at https://prometheus.test: overloaded \(503\)", False),
    ],
)
def test_a_figure_without_an_answer_is_inconclusive(server: Server, reason: str, for_good: bool) -> None:
    ((check,), checks) = judged(server)
    assert check.result == "inconclusive"
    assert re.search(reason, check.reason), check.reason
    assert bool(checks.fault) is for_good
