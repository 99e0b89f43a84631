"""Seeded trials: an addressbook's traffic, counted by pods and judged by the real statistics.

Conditions are bad on purpose: slow minutes and bursts of errors that hit both tracks, a different mix of routes on
each, speeds that vary from interval to interval, pods that restart. The asserts are about shares of many trials.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from promotion.state.cluster.metrics import CounterDeltas, Counters, Reading, Route, total
from promotion.verdict.comparison import FALSE_ALARM, Interval, Pair, bounds, chance_at, compare
from promotion.verdict.result import worst
from promotion.verdict.traffic import RULES, traffic_checks

#: Of the addressbook (app/addressbook/metrics.py), in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)
#: Route: share of the requests, median in seconds.
ROUTES: dict[Route, tuple[float, float]] = {
    ("GET", "/person/{id}"): (0.5, 0.0018),
    ("GET", "/all"): (0.2, 0.006),
    ("PUT", "/person"): (0.2, 0.0035),
    ("DELETE", "/person/{id}"): (0.1, 0.003),
}
SPREAD = 0.6
REQUESTS_PER_SECOND = 50.0


@dataclass
class Pod:
    """A process with counters."""

    name: str
    counted: Counters = field(default_factory=Counters)
    restarts: int = 0

    def serve(self, random: np.random.Generator, requests: float, slower: float, failing: float) -> None:
        requests_by: dict[tuple[Route, int], float] = {}
        durations: dict[Route, dict[float, float]] = {}
        mix = random.dirichlet([100 * share for share, _ in ROUTES.values()])
        for (route, (_, median)), share in zip(ROUTES.items(), mix, strict=True):
            count = int(random.poisson(requests * share))
            failed = int(random.binomial(count, min(1.0, failing)))
            seconds = median * slower * np.exp(random.normal(0, SPREAD, count))
            below = np.searchsorted(np.sort(seconds), BUCKETS, side="right")
            requests_by |= {(route, 200): count - failed, (route, 500): failed}
            durations[route] = {bound: float(n) for bound, n in zip(BUCKETS, below, strict=True)}
        self.counted = total([self.counted, Counters(requests_by, durations)])

    def restart(self) -> None:
        self.restarts += 1
        self.counted = Counters()

    def reading(self) -> Reading:
        return Reading(f"{self.name}/{self.restarts}", self.counted)


@dataclass(frozen=True)
class Scene:
    """One canary pod beside two stable pods; the requests are spread evenly."""

    seconds: int = 300
    every: int = 10
    rate: float = REQUESTS_PER_SECOND
    failing: float = 0.0
    slower: float = 1.0
    disturbed: bool = True
    variation: float = 0.15
    """Standard deviation of the logarithm of a track's speed in an interval."""

    def trial(self, seed: int) -> tuple[str, int]:
        """Return the result, and after how many seconds it was reached."""
        random = np.random.default_rng(seed)
        canary, stable = [Pod("canary")], [Pod("stable-1"), Pod("stable-2")]
        deltas = CounterDeltas(), CounterDeltas()
        for pod in (*canary, *stable):
            pod.serve(random, 1000, 1, 0)
        intervals: list[Interval] = []
        looks, left, slow, burst = round(self.seconds / self.every), 0, 1.0, 0.0
        for look in range(looks + 1):
            added = [
                delta.add(pod.reading() for pod in pods) for delta, pods in zip(deltas, (canary, stable), strict=True)
            ]
            if look:
                intervals.append(Interval(*added))
                checks = traffic_checks(intervals, look, looks)
                if worst(checks) == "unhealthy" or look == looks:
                    return worst(checks), look * self.every
            left -= 1
            if left <= 0:
                bad = self.disturbed and random.random() < 0.15
                left = int(random.integers(1, 4)) if bad else 1
                slow = random.uniform(2, 8) if bad else 1.0
                burst = random.uniform(0, 0.1) if bad and random.random() < 0.5 else 0.0
            requests = self.rate * self.every * random.lognormal(0, 0.2) / 3
            for pods, worse, failing in ((canary, self.slower, self.failing), (stable, 1.0, 0.0)):
                speed = slow * worse * random.lognormal(0, self.variation)
                for pod in pods:
                    pod.serve(random, requests, speed, failing + burst * random.lognormal(0, 0.3))
            if self.disturbed and random.random() < 0.02:
                stable[0].restart()
        raise AssertionError("the last look returns")

    def results(self, trials: int) -> Counter[str]:
        return Counter(self.trial(seed)[0] for seed in range(trials))


class TestAnIdenticalImage:
    """Called unhealthy in fewer than 1 of 50 trials, whatever the conditions."""

    @pytest.mark.parametrize(
        ("scene", "healthy"),
        [
            (Scene(), 0.9),
            (Scene(seconds=90, every=3, variation=0.5), 0.5),
            (Scene(disturbed=False), 1.0),
            (Scene(rate=5), 0.0),
            (Scene(slower=0.3, disturbed=False), 1.0),
        ],
        ids=["disturbed", "uneven, 90 seconds", "quiet", "little traffic", "faster than stable"],
    )
    def test_is_almost_never_unhealthy(self, scene: Scene, healthy: float) -> None:
        trials = 50
        results = scene.results(trials)
        assert results["unhealthy"] < trials / 50
        assert results["healthy"] >= healthy * trials


class TestABadCanary:
    """Called unhealthy within its trial."""

    @pytest.mark.parametrize(
        "scene",
        [
            Scene(failing=0.05),
            Scene(failing=0.05, seconds=90, every=3),
            Scene(failing=0.05, seconds=90, every=3, rate=25),
            Scene(slower=10),
            Scene(slower=10, seconds=60, every=2),
            Scene(slower=10, seconds=60, every=2, rate=15),
        ],
        ids=["5 % errors", "in 90 s", "with half the traffic", "10 times slower", "in 60 s", "with little traffic"],
    )
    def test_is_unhealthy(self, scene: Scene) -> None:
        trials = 30
        assert scene.results(trials)["unhealthy"] >= 0.9 * trials

    def test_that_always_fails_is_unhealthy_in_seconds(self) -> None:
        result, after = Scene(failing=1.0, seconds=300).trial(seed=1)
        assert (result, after) == ("unhealthy", 30)

    @pytest.mark.parametrize("scene", [Scene(failing=0.05, rate=1), Scene(failing=0.03, seconds=20, every=2)])
    def test_is_never_healthy_with_little_traffic(self, scene: Scene) -> None:
        assert scene.results(10)["healthy"] == 0


def test_too_little_traffic_says_how_much_is_needed() -> None:
    assert set(Scene(rate=0.5).results(5)) == {"inconclusive"}
    checks = traffic_checks([], look=3, looks=3)
    assert {check.result for check in checks} == {"inconclusive"}
    assert "0 at the canary and 0 at stable in 0 intervals; 300 at each" in checks[0].reason


def test_chances_of_a_false_alarm_add_up() -> None:
    for looks in (1, 2, 9, 30):
        spent = sum(chance_at(look, looks, len(RULES)) for look in range(1, looks + 1)) * len(RULES)
        assert spent == pytest.approx(FALSE_ALARM)


class TestCompare:
    def test_a_different_mix_of_routes_is_no_difference(self) -> None:
        # Half of the slow route's answers are slow; the canary gets four times as many of them.
        pairs = [[Pair(80, 40, 20, 10), Pair(20, 0, 80, 0)]] * 10
        result = compare(pairs)
        assert result.canary_hits / result.canary > 3 * result.stable_hits / result.stable
        assert result.difference == pytest.approx(0)

    def test_a_burst_on_both_tracks_is_no_difference(self) -> None:
        result = compare([[Pair(100, 90, 200, 180)], *[[Pair(100, 0, 200, 0)]] * 9])
        assert result.difference == pytest.approx(0)

    def test_requests_of_one_burst_are_not_independent(self) -> None:
        even = compare([[Pair(100, 10, 100, 0)]] * 10)
        burst = compare([[Pair(100, 100, 100, 0)], *[[Pair(100, 0, 100, 0)]] * 9])
        assert burst.difference == pytest.approx(even.difference)
        assert even.lower_bound(0.05) > 0.05
        assert burst.lower_bound(0.05) < 0

    def test_no_errors_does_not_mean_certainty(self) -> None:
        assert compare([[Pair(10, 0, 10, 0)]] * 3).upper_bound() > 0.1
        assert compare([[Pair(200, 0, 400, 0)]] * 10).upper_bound() < 0.01

    def test_two_intervals_are_too_few(self) -> None:
        assert compare([[Pair(1000, 1000, 1000, 0)]] * 2).lower_bound(0.05) == -math.inf

    def test_routes_of_one_track_alone_are_ignored(self) -> None:
        assert compare([[Pair(50, 50, 0, 0)]] * 5).canary == 0


def test_errors_on_new_routes_count() -> None:
    new, old = ("GET", "/new"), ("GET", "/all")
    interval = Interval(canary=Counters({(new, 500): 40, (old, 200): 60}), stable=Counters({(old, 200): 200}))
    errors = traffic_checks([interval] * 10, look=10, looks=10)[0]
    assert (errors.name, errors.result) == ("errors", "unhealthy")


def test_refusals_are_compared_on_shared_routes() -> None:
    route = ("PUT", "/person")
    interval = Interval(canary=Counters({(route, 400): 40, (route, 200): 60}), stable=Counters({(route, 200): 200}))
    by_name = {check.name: check for check in traffic_checks([interval] * 10, look=10, looks=10)}
    assert by_name["refusals"].result == "unhealthy"
    assert by_name["errors"].result == "healthy"
    assert "40.0 % of the canary's requests are refused, 0.0 % of stable's" in by_name["refusals"].reason


def _bound(name: str) -> float:
    """``_0_0025`` is 0.0025, ``_inf`` infinity."""
    return float(name[1:].replace("_", "."))


class TestBounds:
    @staticmethod
    def interval(**counts: float) -> Interval:
        route = ("GET", "/all")
        stable = Counters({(route, 200): 100}, {route: {_bound(bound): n for bound, n in counts.items()}})
        return Interval(stable, stable)

    def test_start_at_the_upper_bound_of_the_usual_bucket(self) -> None:
        # Half of the requests take up to 1 ms: 2 ms are allowed, the next bound is 2.5 ms.
        interval = self.interval(_0_001=60, _0_0025=90, _0_005=100, _inf=100)
        assert bounds([interval], 0.5, times=2, minimum=20) == {("GET", "/all"): 0.0025}
        assert bounds([interval], 0.9, times=2, minimum=20) == {("GET", "/all"): 0.005}

    def test_leave_out_rare_and_unbounded_routes(self) -> None:
        assert bounds([self.interval(_0_001=5, _0_005=10, _inf=10)], 0.5, times=2, minimum=20) == {}
        assert bounds([self.interval(_0_001=10, _0_005=20, _inf=100)], 0.5, times=2, minimum=20) == {}
