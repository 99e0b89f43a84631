"""Canary against stable: by how much a share of requests differs, and how certain that is.

A trial is cut into intervals, and each interval into routes. Within one route of one interval both tracks ran under the
same conditions, so the shares are compared there and the differences averaged with Mantel-Haenszel's weights
(n1 n0 / (n1 + n0)). A different mix of routes, or a slow minute that hits both tracks, makes no difference.

There are two standard errors: one from the scatter between intervals (a cluster-robust variance with Student's t), and
one from the number of requests. The wider bound counts, so that a burst is one event and not a hundred requests.
Autocorrelated intervals say less than independent ones: with autocorrelation r, n of them count as n (1 - r) / (1 + r).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from promotion.verdict.samples import Array

#: Chance, over the whole trial and all its comparisons, that a canary exactly at its limits is called unhealthy. One as
#: good as stable is far from them: tests/unit/promotion/verdict shows that it hardly ever is.
FALSE_ALARM = 0.05
#: Part of that chance kept for the end of the trial; the looks before share the rest.
KEPT_FOR_THE_END = 0.5
#: Chance that a comparison passes a canary at its limit or beyond.
FALSE_PASS = 0.05
#: Fewer intervals show no scatter.
MIN_INTERVALS = 3
#: Minimum of independent intervals that autocorrelated ones count as: a scatter needs two.
FEWEST_INDEPENDENT = 2.0
#: Standard errors added to an estimated autocorrelation. With 0 and strong noise of autocorrelation 0.9, 2.5 % of the
#: images as good as stable are unhealthy; with 1, a good canary in noisy traffic is inconclusive far more often.
CORRELATION_MARGIN = 0.5


@dataclass(frozen=True)
class Pairs:
    """Each track's requests ``[interval, stratum]``, and how many of them count (errors, slow ones)."""

    canary: Array
    canary_hits: Array
    stable: Array
    stable_hits: Array

    def map(self, change: Callable[[Array], Array]) -> Pairs:
        """Return the pairs with each of the four arrays changed in the same way."""
        return Pairs(change(self.canary), change(self.canary_hits), change(self.stable), change(self.stable_hits))

    def where(self, mask: Array) -> Pairs:
        """Return the pairs without the strata whose mask is false; the mask has the strata's shape."""
        return self.map(lambda part: np.where(mask[..., None, :], part, 0.0))


@dataclass(frozen=True)
class Comparison:
    """``difference`` of the shares (canary minus stable, 0 to 1) with its errors, and the requests behind it.

    ``scatter`` is the standard error from the intervals, which count as ``independent`` ones. ``sampling`` is the
    standard error from the number of requests.
    """

    canary: Any
    canary_hits: Any
    stable: Any
    stable_hits: Any
    intervals: Any
    difference: Any
    scatter: Any
    independent: Any
    sampling: Any

    def lower_bound(self, chance: float) -> Any:
        """Return the value that the true difference is below with this chance only."""
        return self.difference - self._width(chance)

    def upper_bound(self, chance: float = FALSE_PASS) -> Any:
        """Return the value that the true difference is above with this chance only."""
        return self.difference + self._width(chance)

    def _width(self, chance: float) -> Any:
        from scipy import special  # pyright: ignore[reportMissingTypeStubs]  slow to import

        functions = cast(Any, special)
        student = functions.stdtrit(self.independent - 1, 1 - chance)
        width = np.maximum(student * self.scatter, functions.ndtri(1 - chance) * self.sampling)
        return np.where(self.intervals < MIN_INTERVALS, np.inf, width)


def compare(pairs: Pairs) -> Comparison:
    """Compare the tracks over the strata of each interval that have requests of both."""
    both = (pairs.canary > 0) & (pairs.stable > 0)
    canary, stable = np.where(both, pairs.canary, 1.0), np.where(both, pairs.stable, 1.0)
    weights = np.where(both, canary * stable / (canary + stable), 0.0)
    gaps = (weights * (pairs.canary_hits / canary - pairs.stable_hits / stable)).sum(-1)
    count, mean, scatter, independent = _mean(gaps, weights.sum(-1))
    sums = [
        np.where(both, each, 0.0).sum((-1, -2))
        for each in (pairs.canary, pairs.canary_hits, pairs.stable, pairs.stable_hits)
    ]
    sampling = np.sqrt(_binomial(sums[0], sums[1]) + _binomial(sums[2], sums[3]))
    return Comparison(*sums, count, mean, scatter, independent, sampling)  # pyright: ignore[reportCallIssue]


def compare_values(canary: Array, stable: Array, excess: Array) -> Comparison:
    """Compare one figure of each track in each interval; the difference is the mean of ``excess``.

    Values that are not finite are left out. How many events are behind a figure is unknown, so only its scatter counts.
    """
    known = np.isfinite(canary) & np.isfinite(stable)
    weights = known.astype(float)
    count, mean, scatter, independent = _mean(np.where(known, excess, 0.0), weights)
    sums = [np.where(known, each, 0.0).sum(-1) for each in (canary, stable)]
    return Comparison(count, sums[0], count, sums[1], count, mean, scatter, independent, np.zeros_like(mean))


def _mean(gaps: Array, weights: Array) -> tuple[Any, Any, Any, Any]:
    """Return how many intervals count, and the weighted mean of their gaps with its standard error.

    ``gaps`` are already multiplied by their weights. Also return how many independent intervals they are worth.
    """
    count = (weights > 0).sum(-1)
    weight = np.maximum(weights.sum(-1), 1e-9)
    mean = gaps.sum(-1) / weight
    residuals = gaps - mean[..., None] * weights
    independent = _independent(residuals, count)
    squares = (residuals**2).sum(-1) / (1 - 1 / independent)
    return count, mean, np.sqrt(squares * count / independent) / weight, independent


def _independent(residuals: Array, count: Array) -> Array:
    """Return how many independent intervals the residuals are worth.

    The autocorrelation is estimated from neighbours, and raised by its bias (Kendall, 1954: (1 + 3 r) / n) and by a
    part of its standard error (1 / sqrt(n)), because a short series hides it.
    """
    n = np.maximum(count, 1)
    squares = np.maximum((residuals**2).sum(-1), 1e-12)
    estimate = (residuals[..., 1:] * residuals[..., :-1]).sum(-1) / squares
    raised = np.clip(estimate + (1 + 3 * estimate) / n + CORRELATION_MARGIN / np.sqrt(n), 0.0, 0.99)
    return np.clip(n * (1 - raised) / (1 + raised), FEWEST_INDEPENDENT, np.maximum(n, FEWEST_INDEPENDENT))


def chance_at(look: int, looks: int, comparisons: int) -> float:
    """Return the chance of a false alarm that one comparison may spend at one look (1 to ``looks``).

    Over all looks and comparisons they add up to FALSE_ALARM (Bonferroni), so the promise holds however the looks
    depend on each other. Looking often only costs certainty at each look.
    """
    if looks <= 1:
        return FALSE_ALARM / comparisons
    part = KEPT_FOR_THE_END if look >= looks else (1 - KEPT_FOR_THE_END) / (looks - 1)
    return FALSE_ALARM * part / comparisons


def _binomial(requests: Array, hits: Array) -> Array:
    """Variance of a share by the number of requests alone; one hit and one miss added (Agresti and Caffo, 2000)."""
    share = (hits + 1) / (requests + 2)
    return share * (1 - share) / (requests + 2)
