"""The verdict's promise in every world, with enough trials to see a rate of 2 %."""

from __future__ import annotations

import pytest

from tests.unit.promotion.verdict.promise import (
    BAD,
    FALSE_ALARMS,
    FIGURE_WORLDS,
    FIGURES,
    IDENTICAL,
    MISSES,
    WORLDS,
)
from tests.unit.promotion.verdict.simulation import bad_routes, judge, judge_figure

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


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("world", FIGURE_WORLDS)
def test_the_promise_holds_for_figures(world: str, figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    check, image = FIGURES[figure]
    good = judge_figure(WORLDS[world], IDENTICAL, check, TRIALS, seed=31)
    bad = judge_figure(WORLDS[world], image, check, TRIALS, seed=32)
    with capsys.disabled():
        print(f"\n{world}: figure {figure}: identical image: {good}; at twice the limit: {bad}")
    assert good.unhealthy <= FALSE_ALARMS * TRIALS
    assert bad.healthy <= MISSES * TRIALS
