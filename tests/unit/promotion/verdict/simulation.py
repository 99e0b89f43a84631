"""Judge many simulated trials at once, with the verdict's own rules, as a trial does it look by look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.judging import QueryCheck
from contract.settings import VerdictKeys
from promotion.verdict.comparison import chance_at, compare, compare_values
from promotion.verdict.query_checks import decide_values, excess_of
from promotion.verdict.routes import routes_check
from promotion.verdict.samples import ERROR, Requests, Samples
from promotion.verdict.traffic import COMPARISONS, decide, rules, within_limit_without
from tests.unit.promotion.verdict.worlds import BUCKETS, ROUTES, Array, Image, Track, World, traffic

UNHEALTHY, HEALTHY, OPEN = 1, 0, -1
BOUNDS = np.broadcast_to(BUCKETS, (len(ROUTES), len(BUCKETS)))


@dataclass(frozen=True)
class Results:
    """How many of the trials ended how."""

    trials: int
    healthy: int
    unhealthy: int

    def __str__(self) -> str:
        inconclusive = self.trials - self.healthy - self.unhealthy
        return f"{self.healthy} healthy, {self.unhealthy} unhealthy, {inconclusive} inconclusive of {self.trials}"


def judge(world: World, image: Image, trials: int, seed: int, keys: VerdictKeys | None = None) -> Results:
    """Simulate the trials of an image in a world and judge them."""
    canary, stable = traffic(world, image, trials, seed)
    results = np.full(trials, OPEN)
    looks = world.seconds // world.every
    going = np.arange(trials)
    for look in range(1, looks + 1):
        pods = [_seen(pod, going, look) for pod in _pods(canary)]
        samples = Samples([*ROUTES], BOUNDS, _sum(pods), _sum([_seen(pod, going, look) for pod in _pods(stable)]))
        decisions = _decisions(samples, pods, look, looks, keys or VerdictKeys())
        bad, good = (decisions == UNHEALTHY).any(0), (decisions == HEALTHY).all(0)
        results[going[bad]] = UNHEALTHY
        results[going[good]] = HEALTHY
        going = going[~bad & ~good]
        if not going.size:
            break
    return Results(trials, int((results == HEALTHY).sum()), int((results == UNHEALTHY).sum()))


def judge_figure(world: World, image: Image, check: QueryCheck, trials: int, seed: int) -> Results:
    """Simulate the trials of an image in a world, and judge them by a figure that Prometheus would have: FIGURES."""
    canary, stable = (FIGURES[check.name](_sum(_pods(track))) for track in traffic(world, image, trials, seed))
    results = np.full(trials, OPEN)
    looks = world.seconds // world.every
    for look in range(1, looks + 1):
        seen = canary[:, :look], stable[:, :look]
        measured = compare_values(*seen, excess_of(check, *seen))
        decision = decide_values(check, measured, chance_at(look, looks, COMPARISONS + 1), final=look == looks)
        results = np.where(results == OPEN, decision, results)
    return Results(trials, int((results == HEALTHY).sum()), int((results == UNHEALTHY).sum()))


def _failing(requests: Requests) -> Array:
    """Return the share of errors ``[trial, interval]``; not a number in an interval without requests."""
    with np.errstate(invalid="ignore"):
        return requests.answers[..., ERROR].sum(-1) / requests.answers.sum((-1, -2))


def _mean_seconds(requests: Requests) -> Array:
    """Return about the mean time ``[trial, interval]``: each request as long as its bucket allows."""
    counts = np.diff(requests.durations, axis=-1, prepend=0.0)
    longest = np.where(np.isinf(BUCKETS), 2 * BUCKETS[-2], BUCKETS)
    with np.errstate(invalid="ignore"):
        return (counts * longest).sum((-1, -2)) / counts.sum((-1, -2))


#: Figures by the name of their check.
FIGURES = {"failing": _failing, "succeeding": lambda each: 1 - _failing(each), "seconds": _mean_seconds}


def bad_routes(world: World, image: Image, trials: int, seed: int, each_look: bool = False) -> int:
    """Return in how many trials the comparison route by route finds the image unhealthy, at the end or at any look."""
    canary, stable = (_sum(_pods(track)) for track in traffic(world, image, trials, seed))
    looks = world.seconds // world.every
    found = 0
    for trial in range(trials):
        for look in range(1 if each_look else looks, looks + 1):
            samples = Samples([*ROUTES], BOUNDS, _seen(canary, trial, look), _seen(stable, trial, look))
            chance = chance_at(look, looks, COMPARISONS)
            if routes_check(samples, VerdictKeys(), chance, final=look == looks).result == "unhealthy":
                found += 1
                break
    return found


def _decisions(samples: Samples, pods: list[Requests], look: int, looks: int, keys: VerdictKeys) -> Array:
    """Return each rule's decision ``[rule, trial]``; a single slow pod of several leaves it open."""
    rows: list[Array] = []
    for rule in rules(keys):
        chance = chance_at(look, looks, COMPARISONS)
        row = decide(rule, compare(rule.pairs(samples)), chance, final=look == looks)
        if rule.is_latency and len(pods) > 1 and (row == UNHEALTHY).any():
            excused = np.any([within_limit_without(rule, samples, pod) for pod in pods], axis=0)
            row = np.where((row == UNHEALTHY) & excused, OPEN, row)
        rows.append(row)
    return np.array(rows)


def _pods(track: Track) -> list[Requests]:
    return [Requests(*pod) for pod in zip(track.answers, track.durations, strict=True)]


def _seen(requests: Requests, trials: Any, look: int) -> Requests:
    return Requests(requests.answers[trials, :look], requests.durations[trials, :look])


def _sum(pods: list[Requests]) -> Requests:
    return Requests(
        np.sum([pod.answers for pod in pods], axis=0),
        np.sum([pod.durations for pod in pods], axis=0),
    )
