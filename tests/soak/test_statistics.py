"""The verdict's promise in every world, with enough trials to see a rate of 2 %."""

from __future__ import annotations

import pytest

from tests.unit.promotion.verdict.promise import BAD, FALSE_ALARMS, IDENTICAL, MISSES, WORLDS
from tests.unit.promotion.verdict.simulation import bad_routes, judge

TRIALS = 2000
#: The comparison route by route is not simulated many trials at once.
ROUTE_TRIALS = 200


@pytest.mark.parametrize("world", WORLDS)
def test_the_promise_holds(world: str, capsys: pytest.CaptureFixture[str]) -> None:
    good = judge(WORLDS[world], IDENTICAL, TRIALS, seed=11)
    bad = {what: judge(WORLDS[world], image, TRIALS, seed=12) for what, image in BAD.items()}
    routes = bad_routes(WORLDS[world], IDENTICAL, ROUTE_TRIALS, seed=13, each_look=True)
    with capsys.disabled():
        print(f"\n{world}: identical image, route by route: {routes} unhealthy of {ROUTE_TRIALS}")
        print(f"{world}: identical image: {good}")
        for what, results in bad.items():
            print(f"{world}: {what} at twice the limit: {results}")
    assert good.unhealthy / TRIALS + routes / ROUTE_TRIALS <= FALSE_ALARMS
    for what, results in bad.items():
        assert results.healthy <= MISSES * TRIALS, what
