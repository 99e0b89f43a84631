"""Routes and pods one by one: what is lost in the shares over all requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from contract.settings import VerdictKeys
from promotion.state.cluster.counters import Counters, total
from promotion.verdict.comparison import chance_at
from promotion.verdict.result import Check
from promotion.verdict.routes import routes_check, why_incomparable
from promotion.verdict.samples import Interval, Samples
from promotion.verdict.traffic import COMPARISONS, bad_pods, traffic_checks

KEYS = VerdictKeys()
LOOKS = 30
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, math.inf)


@dataclass(frozen=True)
class Answers:
    """A route's answers in one interval at one track."""

    route: str
    good: float = 0
    refused: float = 0
    failed: float = 0
    seconds: float = 0.002
    bounds: tuple[float, ...] = BOUNDS

    def counters(self) -> Counters:
        route, count = ("GET", self.route), self.good + self.refused + self.failed
        by_status = {(route, 200): self.good, (route, 404): self.refused, (route, 500): self.failed}
        return Counters(by_status, {route: {bound: count * (bound >= self.seconds) for bound in self.bounds}})


ALL, PERSON, RARE = Answers("/all", 40), Answers("/person/{id}", 160), Answers("/report", 2)


def trial(canary: list[Answers], stable: list[Answers], count: int = LOOKS) -> list[Interval]:
    own, other = (total(answers.counters() for answers in track) for track in (canary, stable))
    return [Interval(own, other)] * count


def check(canary: list[Answers], stable: list[Answers]) -> Check:
    chance = chance_at(LOOKS, LOOKS, COMPARISONS)
    return routes_check(Samples.of(trial(canary, stable)), KEYS, chance, final=True)


def failed(canary: list[Answers], stable: list[Answers]) -> set[str]:
    checks = traffic_checks(Samples.of(trial(canary, stable)), {}, KEYS, LOOKS, LOOKS)
    return {each.name for each in checks if each.result == "unhealthy"}


def reason(canary: list[Answers], stable: list[Answers]) -> str:
    intervals = trial(canary, stable, 3)
    return why_incomparable(Samples.of(intervals), intervals, KEYS)


class TestALostRoute:
    def test_a_fifth_of_the_requests_is_refused(self) -> None:
        canary = [PERSON, Answers("unmatched", refused=40)]
        assert failed(canary, [PERSON, ALL]) == {"refusals"}
        lost = check(canary, [PERSON, ALL])
        assert lost.result == "unhealthy"
        assert "the canary never answers GET /all (20.0 % of stable's requests)" in lost.reason

    def test_a_small_lost_route_is_unhealthy(self) -> None:
        canary = [PERSON, Answers("unmatched", refused=2)]
        assert failed(canary, [PERSON, RARE]) == set()
        assert "GET /report" in check(canary, [PERSON, RARE]).reason

    def test_stables_own_unmatched_requests_hide_nothing(self) -> None:
        strays = Answers("unmatched", refused=5)
        canary = [PERSON, Answers("unmatched", refused=45)]
        assert check(canary, [PERSON, ALL, strays]).result == "unhealthy"

    def test_a_route_that_nobody_tried_is_inconclusive(self) -> None:
        untried = check([PERSON], [PERSON, ALL])
        assert untried.result == "inconclusive"
        assert "got no request for GET /all" in untried.reason

    def test_a_tiny_untried_route_does_not_matter(self) -> None:
        assert check([PERSON], [PERSON, Answers("/debug", 1)]).result == "healthy"


class TestOneBadRoute:
    @pytest.mark.parametrize("bad", [Answers("/report", failed=2), Answers("/report", refused=2)], ids=["500", "404"])
    def test_a_small_failing_route_is_unhealthy(self, bad: Answers) -> None:
        assert failed([PERSON, ALL, bad], [PERSON, ALL, RARE]) == set()
        checked = check([PERSON, ALL, bad], [PERSON, ALL, RARE])
        assert checked.result == "unhealthy"
        assert checked.reason.startswith("GET /report: 100.0 % of the canary's requests are refused or failed")

    def test_a_slow_small_route_is_unhealthy(self) -> None:
        slow = Answers("/report", 2, seconds=0.02)
        assert "GET /report" in check([PERSON, ALL, slow], [PERSON, ALL, RARE]).reason

    def test_a_route_that_fails_at_stable_too_is_healthy(self) -> None:
        bad = Answers("/report", failed=2)
        assert check([PERSON, bad], [PERSON, bad]).result == "healthy"

    def test_good_routes_are_healthy(self) -> None:
        good = check([PERSON, ALL, RARE], [PERSON, ALL, RARE])
        assert good.result == "healthy"
        assert good.samples == "3 of 3 routes have 20 requests at each"


class TestIncomparableTracks:
    def test_good_routes_can_be_compared(self) -> None:
        assert reason([PERSON, ALL], [PERSON, ALL]) == ""

    def test_a_renamed_route_cannot_be_compared(self) -> None:
        why = reason([PERSON, Answers("/everybody", 40)], [PERSON, ALL])
        assert "never answers GET /all (20.0 % of stable's requests), but has GET /everybody" in why

    def test_a_lost_route_is_not_a_renamed_one(self) -> None:
        assert reason([PERSON, Answers("unmatched", refused=40)], [PERSON, ALL]) == ""

    def test_differing_buckets_cannot_be_compared(self) -> None:
        other = Answers("/all", 40, bounds=(0.1, math.inf))
        assert "histogram buckets of GET /all differ" in reason([PERSON, other], [PERSON, ALL])

    def test_times_above_the_last_bucket_cannot_be_judged(self) -> None:
        slow = [Answers("/all", 100, seconds=0.024)]
        assert "GET /all lies above the histogram's last bucket" in reason(slow, slow)

    def test_without_a_histogram_latency_cannot_be_judged(self) -> None:
        bare = [Answers("/all", 100, bounds=())]
        assert "no histogram http_request_duration_seconds" in reason(bare, bare)


class TestOneBadPod:
    def judged(self, bad: Answers) -> tuple[dict[str, Check], list[str]]:
        pods = {f"canary-{n}": (bad if n == 3 else Answers("/all", 100)).counters() for n in range(10)}
        intervals = [Interval(total(pods.values()), Answers("/all", 1000).counters(), pods)] * LOOKS
        samples = Samples.of(intervals)
        by_pod = samples.pods(intervals)
        checks = traffic_checks(samples, by_pod, KEYS, LOOKS, LOOKS)
        return {each.name: each for each in checks}, bad_pods(samples, by_pod, KEYS)

    def test_a_pod_with_errors_makes_the_canary_unhealthy(self) -> None:
        checks, notes = self.judged(Answers("/all", 50, failed=50))
        assert checks["errors"].result == "unhealthy"
        assert "pod canary-3 alone causes it" in checks["errors"].reason
        assert notes[0].startswith("pod canary-3 differs from its siblings: 50.0 % of its requests are answered with")

    def test_few_errors_are_noted_only(self) -> None:
        checks, notes = self.judged(Answers("/all", 96, failed=4))
        assert checks["errors"].result == "healthy"
        assert len(notes) == 1

    def test_one_slow_pod_is_not_blamed_on_the_image(self) -> None:
        checks, notes = self.judged(Answers("/all", 100, seconds=0.02))
        assert checks["tail latency"].result == "inconclusive"
        assert "only with pod canary-3: its node may be slow" in checks["tail latency"].reason
        assert any("canary-3" in note for note in notes)
