"""The service's own figures (config key checks): asked of Prometheus for each track, compared over the trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contract.judging import QueryCheck, filled
from promotion.state.cluster.cluster import TRACKS, Cluster, Track
from promotion.state.prometheus import Prometheus, PrometheusError, Series, is_number
from promotion.verdict.comparison import FALSE_PASS, Comparison, chance_at, compare_values
from promotion.verdict.result import Check, Result
from promotion.verdict.samples import Array
from promotion.verdict.traffic import COMPARISONS, ENDED_EARLY

#: Minimum values of each track. A figure that never changes has no scatter, so a few values would seem certain.
MIN_VALUES = 10
#: Part of an interval by which the sum of the looks may miss a whole one.
ROUNDING = 1e-6


def excess_of(check: QueryCheck, canary: Array, stable: Array) -> Array:
    """Return by how much the canary is worse, less the part of stable's figure that a percentage allows."""
    worse = canary - stable if check.better == "lower" else stable - canary
    return worse - check.share * np.abs(stable)


def decide_values(check: QueryCheck, measured: Comparison, chance: float, final: bool) -> Array:
    """Return 1 where the canary is unhealthy, 0 where healthy, and -1 where inconclusive."""
    enough = measured.intervals >= MIN_VALUES
    unhealthy = enough & (measured.lower_bound(chance) > check.absolute)
    healthy = enough & (measured.upper_bound() < check.absolute) & final
    return np.where(unhealthy, 1, np.where(healthy, 0, -1))


@dataclass
class QueryChecks:
    """The checks of a trial of ``duration`` seconds, which begins with the first look."""

    checks: Sequence[QueryCheck]
    prometheus: Prometheus | None
    cluster: Cluster
    duration: float
    fault: str = ""
    """Why even a longer trial cannot judge a check; "" if it can."""
    _began: float | None = None
    _latest: dict[str, Check] = field(default_factory=dict[str, Check])
    _looks: dict[str, int] = field(default_factory=dict[str, int])

    def look(self, seconds: float, *, last: bool = False) -> list[Check]:
        """Judge every check ``seconds`` after the trial's begin."""
        return [self._look(check, seconds, last=last) for check in self.checks]

    def skipped(self, why: str) -> list[Check]:
        """Return each check as it was last judged, or as inconclusive."""
        return [self._latest.get(check.name) or _check(check, None, "inconclusive", why) for check in self.checks]

    def _look(self, check: QueryCheck, seconds: float, *, last: bool) -> Check:
        """Judge a check, if there is a new value of it since the last look."""
        look, looks = int(seconds / check.every + ROUNDING), max(1, int(self.duration / check.every + ROUNDING))
        known = self._latest.get(check.name)
        if known and not last and look <= self._looks[check.name]:
            return known
        self._looks[check.name] = look
        try:
            values = self._values(check, seconds, look)
        except PrometheusError as error:
            self.fault = f"check {check.name}: {error}" if error.for_good else self.fault
            result = _check(check, None, "inconclusive", str(error))
        else:
            chance = chance_at(looks if last else look, looks, COMPARISONS + len(self.checks))
            result = _judged(check, *values, chance=chance, final=last)
        self._latest[check.name] = result
        return result

    def _values(self, check: QueryCheck, seconds: float, look: int) -> tuple[Array, Array]:
        """Return each track's values since the trial's begin. Raises PrometheusError."""
        if self.prometheus is None:
            raise PrometheusError("there is no Prometheus to ask: set `prometheus`", for_good=True)
        if self._began is None:
            self._began = self.prometheus.now() - seconds
        times = [self._began + check.every * number for number in range(1, look + 1)]
        canary, stable = (self._of_track(self.prometheus, check, track, times) for track in TRACKS)
        return canary, stable

    def _of_track(self, prometheus: Prometheus, check: QueryCheck, track: Track, times: Sequence[float]) -> Array:
        query = filled(check.query, track, self.cluster.service, self.cluster.namespace)
        if not times:
            return np.array([])
        series = prometheus.range(query, times[0], times[-1], check.every)
        if len(series) > 1:
            raise PrometheusError(
                f"`{query}` returns {len(series)} series: aggregate them into one, for example with sum()",
                for_good=True,
            )
        return np.array([_value_at(series, time) for time in times])


def _value_at(series: Sequence[Series], time: float) -> float:
    """Return the value at a time, to the millisecond; not a number if there is none."""
    values: Mapping[int, float] = {round(1000 * at): value for each in series for at, value in each.values.items()}
    value = values.get(round(1000 * time))
    return value if value is not None and is_number(value) else math.nan


def _judged(check: QueryCheck, canary: Array, stable: Array, chance: float, final: bool) -> Check:
    measured = compare_values(canary, stable, excess_of(check, canary, stable))
    decision = int(decide_values(check, measured, chance, final))
    if decision == 0:
        return _check(check, measured, "healthy", "")
    if decision == 1:
        worse = "above" if check.better == "lower" else "below"
        least = measured.lower_bound(chance) - check.absolute
        why = f"the canary's figure is {worse} stable's by more than {_limit(check)} (at least {least:.3g} more)"
        return _check(check, measured, "unhealthy", why)
    if not final:
        return _check(check, measured, "inconclusive", ENDED_EARLY)
    return _check(check, measured, "inconclusive", _why_open(check, canary, stable, measured))


def _why_open(check: QueryCheck, canary: Array, stable: Array, measured: Comparison) -> str:
    for track, values in (("canary", canary), ("stable", stable)):
        if values.size and not np.isfinite(values).any():
            return f"the query has no number for the {track}, whose `$track` is `{track}`: `{check.query}`"
    if measured.intervals < MIN_VALUES:
        return (
            f"{measured.intervals} values of both tracks, one every {check.every} s; {MIN_VALUES} are needed. Run a"
            f" longer trial (--for), or look for gaps in `{check.query}`"
        )
    low, high = measured.lower_bound(FALSE_PASS), measured.upper_bound()
    return (
        f"the canary is worse by between {low:.3g} and {high:.3g}, too wide a range to tell whether it is below"
        f" {check.absolute:.3g}. A longer trial (--for) narrows it"
    )


def _check(check: QueryCheck, measured: Comparison | None, result: Result, reason: str) -> Check:
    value, samples = "not measured", "none"
    if measured and measured.intervals:
        means = (hits / measured.intervals for hits in (measured.canary_hits, measured.stable_hits))
        value = "{:.4g}, stable {:.4g}".format(*means)
        samples = f"{measured.intervals} values, one every {check.every} s"
    rule = f"Prometheus' answer to the service's query; {check.better} is better"
    return Check(check.name, value, _limit(check), samples, rule, result, reason)


def _limit(check: QueryCheck) -> str:
    """Return how much worse the canary may be."""
    return f"{check.share:.3g} of stable's" if check.share else f"{check.absolute:.4g}"
