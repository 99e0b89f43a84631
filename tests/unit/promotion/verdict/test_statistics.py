"""The statistics of the verdict: its promise in simulated worlds, and the estimates behind it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contract.settings import VerdictKeys
from promotion.state.cluster.counters import Counters
from promotion.verdict.comparison import FALSE_ALARM, Pairs, chance_at, compare
from promotion.verdict.samples import Interval, Samples, count_over, quantile
from promotion.verdict.traffic import COMPARISONS, rules, traffic_checks
from tests.unit.promotion.verdict.promise import BAD, FALSE_ALARMS, IDENTICAL, MISSES, WORLDS
from tests.unit.promotion.verdict.simulation import bad_routes, judge
from tests.unit.promotion.verdict.worlds import Image, World

#: For each world. tests/soak/test_statistics.py runs many more.
TRIALS = 100


@pytest.mark.parametrize("world", WORLDS)
def test_an_identical_image_is_hardly_ever_unhealthy(world: str) -> None:
    assert judge(WORLDS[world], IDENTICAL, TRIALS, seed=1).unhealthy <= FALSE_ALARMS * TRIALS


@pytest.mark.parametrize("world", WORLDS)
def test_no_route_of_an_identical_image_is_unhealthy(world: str) -> None:
    assert bad_routes(WORLDS[world], IDENTICAL, TRIALS, seed=7) <= FALSE_ALARMS * TRIALS


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("what", BAD)
def test_twice_the_limit_is_hardly_ever_healthy(world: str, what: str) -> None:
    assert judge(WORLDS[world], BAD[what], TRIALS, seed=2).healthy <= MISSES * TRIALS


@pytest.mark.parametrize(("world", "share"), [("independent", 0.95), ("shared bursts", 0.6), ("heavy-tailed", 0.95)])
def test_a_good_canary_is_usually_healthy(world: str, share: float) -> None:
    assert judge(WORLDS[world], IDENTICAL, TRIALS, seed=3).healthy >= share * TRIALS


@pytest.mark.parametrize(
    ("image", "unhealthy"),
    [
        (Image(slower=2.5), 0.9),
        (Image(slower=10), 1.0),
        (Image(slow_share=0.09), 0.95),
        (Image(failing=0.05), 1.0),
    ],
    ids=["2.5 times slower", "10 times slower", "9 % take 7 s", "5 % errors"],
)
def test_a_bad_canary_is_unhealthy(image: Image, unhealthy: float) -> None:
    assert judge(World(), image, TRIALS, seed=4).unhealthy >= unhealthy * TRIALS


def test_slower_by_less_than_the_factor_is_no_fault() -> None:
    assert judge(World(), Image(slower=1.7), TRIALS, seed=5).unhealthy <= FALSE_ALARMS * TRIALS


def test_limits_are_the_services_own() -> None:
    strict = VerdictKeys.model_validate({"canaryLatencyFactor": "1.2"})
    assert judge(World(), Image(slower=1.7), TRIALS, seed=5, keys=strict).unhealthy >= 0.9 * TRIALS
    tolerant = VerdictKeys.model_validate({"canaryErrorLimit": 100})
    assert judge(World(), Image(failing=0.03), TRIALS, seed=5, keys=tolerant).healthy >= 0.9 * TRIALS


def test_a_higher_percentile_finds_a_thinner_tail() -> None:
    image, keys = Image(slow_share=0.03), VerdictKeys.model_validate({"canaryLatencyPercentile": 99})
    assert judge(World(), image, TRIALS, seed=6).unhealthy == 0
    assert judge(World(), image, TRIALS, seed=6, keys=keys).unhealthy >= 0.9 * TRIALS


def test_requests_faster_than_the_floor_are_never_slow() -> None:
    floor = VerdictKeys.model_validate({"canaryLatencyFloorMilliseconds": 250})
    assert judge(World(), Image(slower=4), TRIALS, seed=5, keys=floor).healthy >= 0.9 * TRIALS
    assert judge(World(), Image(slow_share=0.09), TRIALS, seed=5, keys=floor).unhealthy >= 0.9 * TRIALS
    drifting = judge(World(memory=0.9, noise=0.6), IDENTICAL, TRIALS, seed=5, keys=floor)
    assert drifting.healthy >= 0.9 * TRIALS, "stable's own drift below the floor does not matter"


def test_chances_of_a_false_alarm_add_up() -> None:
    for looks in (1, 2, 9, 30):
        spent = sum(chance_at(look, looks, COMPARISONS) for look in range(1, looks + 1)) * COMPARISONS
        assert spent == pytest.approx(FALSE_ALARM)
    assert len(rules(VerdictKeys())) + 1 == COMPARISONS  # and the routes


def test_always_failing_is_unhealthy_after_three_looks() -> None:
    route = ("GET", "/all")
    good, bad = (Counters({(route, status): 100}, {}) for status in (200, 500))
    samples = Samples.of([Interval(bad, good)] * 3)
    assert traffic_checks(samples, {}, VerdictKeys(), 3, 30)[0].result == "unhealthy"


def pairs(*intervals: tuple[tuple[float, float, float, float], ...]) -> Pairs:
    """Return the pairs of intervals, each a row of (canary, its hits, stable, its hits) for each route."""
    return Pairs(*np.moveaxis(np.array(intervals, dtype=float), -1, 0))


class TestCompare:
    def test_a_different_mix_of_routes_is_no_difference(self) -> None:
        # Half of the slow route's answers are slow; the canary gets four times as many of them.
        result = compare(pairs(*[((80, 40, 20, 10), (20, 0, 80, 0))] * 10))
        assert result.canary_hits / result.canary > 3 * result.stable_hits / result.stable
        assert result.difference == pytest.approx(0)

    def test_a_burst_on_both_tracks_is_no_difference(self) -> None:
        result = compare(pairs(((100, 90, 200, 180),), *[((100, 0, 200, 0),)] * 9))
        assert result.difference == pytest.approx(0)

    def test_requests_of_one_burst_are_not_independent(self) -> None:
        even = compare(pairs(*[((100, 10, 100, 0),)] * 10))
        burst = compare(pairs(((100, 100, 100, 0),), *[((100, 0, 100, 0),)] * 9))
        assert burst.difference == pytest.approx(even.difference)
        assert even.lower_bound(0.05) > 0.05
        assert burst.lower_bound(0.05) < 0

    def test_no_errors_does_not_mean_certainty(self) -> None:
        assert compare(pairs(*[((10, 0, 10, 0),)] * 3)).upper_bound() > 0.05

    def test_two_intervals_say_nothing(self) -> None:
        assert compare(pairs(*[((100, 100, 100, 0),)] * 2)).lower_bound(0.05) == -math.inf

    def test_neighbours_that_resemble_each_other_count_less(self) -> None:
        shares = [0, 0, 0, 0, 0, 20, 20, 20, 20, 20]
        runs = compare(pairs(*[((100, share, 100, 0),) for share in shares]))
        mixed = compare(pairs(*[((100, share, 100, 0),) for share in shares[::5] * 5]))
        assert runs.difference == pytest.approx(mixed.difference)
        assert runs.independent == 2
        assert mixed.independent == 10


class TestInterpolation:
    BOUNDS = np.array([[0.1, 0.2, 0.4, math.inf]])

    def test_a_quantile_lies_within_its_bucket(self) -> None:
        durations = np.array([[0.0, 50.0, 100.0, 100.0]])
        assert quantile(durations, self.BOUNDS, 0.5)[0] == pytest.approx(0.2)
        assert quantile(durations, self.BOUNDS, 0.75)[0] == pytest.approx(0.3)

    def test_a_quantile_above_the_last_bucket_is_infinite(self) -> None:
        assert quantile(np.array([[0.0, 0.0, 10.0, 100.0]]), self.BOUNDS, 0.5)[0] == math.inf

    def test_requests_over_a_time_within_a_bucket(self) -> None:
        durations = np.array([[[0.0, 50.0, 100.0, 110.0]]])
        assert count_over(durations, self.BOUNDS, np.array([0.3]))[0, 0] == pytest.approx(35)
        assert math.isnan(count_over(durations, self.BOUNDS, np.array([0.5]))[0, 0])
