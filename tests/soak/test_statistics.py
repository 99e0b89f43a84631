"""The verdict's promise in every world, with enough trials to see a rate of 2 %."""

from __future__ import annotations

import pytest

from tests.unit.promotion.verdict.promise import BAD, FALSE_ALARMS, IDENTICAL, MISSES, WORLDS
from tests.unit.promotion.verdict.simulation import judge

TRIALS = 2000


@pytest.mark.parametrize("world", WORLDS)
def test_the_promise_holds(world: str, capsys: pytest.CaptureFixture[str]) -> None:
    good = judge(WORLDS[world], IDENTICAL, TRIALS, seed=11)
    bad = {what: judge(WORLDS[world], image, TRIALS, seed=12) for what, image in BAD.items()}
    with capsys.disabled():
        print(f"\n{world}: identical image: {good}")
        for what, results in bad.items():
            print(f"{world}: {what} at twice the limit: {results}")
    assert good.unhealthy <= FALSE_ALARMS * TRIALS
    for what, results in bad.items():
        assert results.healthy <= MISSES * TRIALS, what
