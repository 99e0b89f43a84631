"""The verdict's promise, for each world and image: how many of the simulated trials may end which way."""

from __future__ import annotations

from contract.judging import QueryCheck
from tests.unit.promotion.verdict.worlds import Image, World

WORLDS = {
    "independent": World(),
    "shared bursts": World(shared_bursts=0.15),
    "uneven, 90 seconds": World(seconds=90, every=3, noise=0.5),
    "autocorrelated": World(memory=0.9, noise=0.3, error_noise=1.0, failing=0.005),
    "bursty": World(own_bursts=0.05, clumped=0.7),
    "cold start": World(cold=9.0),
    "heavy-tailed": World(tail=1.3, noise=0.2),
    "slow canary pod": World(pods=(3, 3), slow_pod=(4.0, 1.0)),
    "slow stable pod": World(pods=(1, 3), slow_pod=(1.0, 4.0)),
    "few requests": World(rate=3),
    "very few requests": World(rate=0.5),
}
IDENTICAL = Image()
#: Each at twice its limit: the errors' is 1 point; the latency's is twice stable's.
BAD = {"errors": Image(failing=0.02), "latency": Image(slower=4.0)}
#: Upper limits of the promise, as shares of the trials.
FALSE_ALARMS, MISSES = 0.02, 0.05
#: Figures with their limits (a rate that should be low, one that should be high, a gauge with a limit in percent), and
#: an image at twice the limit of each.
FIGURES = {
    "failing": (QueryCheck(name="failing", query="$track", better="lower", limit=0.01), BAD["errors"]),
    "succeeding": (QueryCheck(name="succeeding", query="$track", better="higher", limit=0.01), BAD["errors"]),
    "seconds": (QueryCheck(name="seconds", query="$track", better="lower", limit="100%"), Image(slower=4.0)),
}
#: Nobody can see how many events are behind a figure. Where most intervals have none, it says too little, and a bad one
#: may pass: docs/explanation/verdict.md says so.
FIGURE_WORLDS = [world for world in WORLDS if world != "very few requests"]
