"""The benchmark of the start-up: fair turns, ratios within a round, and no comparison of what is not the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks import startup
from benchmarks.paired import Samples, take_turns


def test_contenders_take_turns_and_the_first_round_does_not_count():
    ran: list[str] = []
    timings = take_turns({name: lambda name=name: ran.append(name) for name in "abc"}, 2, lambda _: None)
    assert "".join(ran) == "abc" + "bca" + "cab"
    assert {name: len(samples) for name, samples in timings.wall.seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_ratios_are_taken_within_a_round():
    busy_in_the_second_round = Samples({"a": [2.0, 20.0, 2.0], "b": [1.0, 10.0, 1.0]})
    spread = busy_in_the_second_round.ratio("a", to="b")
    assert (spread.median, spread.least, spread.most) == (2.0, 2.0, 2.0)


@dataclass
class Previewed:
    """A contender whose preview has these resource types."""

    types: list[str]

    def preview(self) -> str:
        return json.dumps({"steps": [{"newState": {"type": each}} for each in self.types]})


def test_components_and_the_stack_are_no_difference():
    this = Previewed(["pulumi:pulumi:Stack", "addressbook:release:Track", "kubernetes:core/v1:Service"])
    contenders: Any = {startup.THIS: this, startup.FLAT: Previewed(["kubernetes:core/v1:Service"])}
    assert startup._same_resources(contenders) == {"kubernetes:core/v1:Service": 1}


def test_other_resources_are_not_compared():
    contenders: Any = {startup.THIS: Previewed(["a", "b"]), startup.FLAT: Previewed(["a", "a"])}
    with pytest.raises(ValueError, match="declares other resources"):
        startup._same_resources(contenders)
