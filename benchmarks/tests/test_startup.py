"""The benchmark of the start-up: fair turns, ratios within a round, and no comparison of what is not the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import same, startup
from benchmarks.paired import Samples, take_turns
from benchmarks.same import IMAGE, Declared, differences, previewed, registered


def test_contenders_alternate_after_a_warm_up_round():
    ran: list[str] = []
    timings = take_turns({name: lambda name=name: ran.append(name) for name in "abc"}, 2, lambda _: None)
    assert "".join(ran) == "abc" + "bca" + "cab"
    assert {name: len(samples) for name, samples in timings.wall.seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_ratios_are_taken_within_a_round():
    busy_in_the_second_round = Samples({"a": [2.0, 20.0, 2.0], "b": [1.0, 10.0, 1.0]})
    spread = busy_in_the_second_round.ratio("a", to="b")
    assert (spread.median, spread.least, spread.most) == (2.0, 2.0, 2.0)


def test_flat_program_is_equal_until_a_field_differs(tmp_path: Path, kubeconfig: Path):
    programs = startup.programs(tmp_path, "kind-kind", "localhost:5001")
    this, flat = (programs[name] for name in (startup.THIS, startup.FLAT))
    found = {startup.THIS: registered(this.declare()), startup.FLAT: registered(flat.declare())}
    assert len(found[startup.THIS]) == 20
    startup.refuse_others(found)
    file = flat.folder / "__main__.py"
    file.write_text(file.read_text().replace('"pulumi.com/waitFor"', '"pulumi.com/waitfor"'))
    with pytest.raises(ValueError, match="`flat, one file` is not the same") as output:
        startup.refuse_others({**found, startup.FLAT: registered(flat.declare())})
    assert "Service public has metadata.annotations.pulumi.com/waitFor = '(nothing)' instead of" in str(output.value)


def preview(*resources: tuple[str, str, Any]) -> str:
    """The steps of one, for types, URNs and inputs."""
    steps = [{"newState": {"type": kind, "urn": urn, "inputs": inputs}} for kind, urn, inputs in resources]
    return json.dumps({"steps": steps})


def test_components_and_stack_are_ignored():
    this = preview(
        ("pulumi:pulumi:Stack", "urn:pulumi:one::this::pulumi:pulumi:Stack::one", {}),
        ("delivery:release:Track", "urn:pulumi:one::this::delivery:release:Track::stable", {}),
        ("core:Service", "urn:pulumi:one::this::delivery:release:Track$core:Service::stable", {"spec": {"a": 1}}),
    )
    flat = preview(("core:Service", "urn:pulumi:one::flat::core:Service::stable", {"spec": {"a": 1}}))
    assert [each.title for each in previewed(this)] == ["core:Service stable"]
    assert differences(previewed(this), previewed(flat)) == []


def generated(name: str) -> Any:
    return {"metadata": {"name": name, "annotations": {"pulumi.com/autonamed": "true"}}}


@dataclass
class Seen:
    """A program that registers nothing but components, and whose preview has these resources."""

    steps: list[tuple[str, str, Any]]

    def declare(self) -> str:
        return json.dumps([{"type": "delivery:release:Release", "name": "addressbook", "inputs": {}}])

    def preview(self) -> str:
        return preview(*self.steps)


def test_previews_are_compared_too():
    one, other = (Seen([("Service", "urn::public", {"port": port})]) for port in (80, 81))
    same_ones: Any = {startup.THIS: one, startup.FLAT: one}
    assert startup._same_resources(same_ones) == {"Service": 1}
    others: Any = {**same_ones, startup.FLAT: other}
    with pytest.raises(ValueError, match="Service public has port = 81 instead of 80"):
        startup._same_resources(others)


@pytest.mark.parametrize(
    ("kind", "this", "flat"),
    [
        (
            IMAGE,
            {"imageName": "a/b:1", "build": {"context": "app"}},
            {"imageName": "a/b:2", "build": {"context": "/b"}},
        ),
        ("Job", generated("migrate-1"), generated("migrate-2")),
    ],
)
def test_expected_differences_are_ignored(kind: str, this: Any, flat: Any):
    assert differences([Declared.of(kind, "one", this)], [Declared.of(kind, "one", flat)]) == []


SECRET = {same.SECRET[0]: same.SECRET[1], "value": {"password": "x"}}


@pytest.mark.parametrize(
    ("flat", "output"),
    [
        ([], "Service a is missing"),
        ([("Service", "b", {})], "Service b is more"),
        ([("Service", "a", {}), ("Service", "a", {})], "Service a is more"),
        ([("Service", "a", {"ports": [1, 3]})], "Service a has ports[1] = 3 instead of 2"),
        ([("Service", "a", {"ports": [1]})], "Service a has ports[1] = '(nothing)' instead of 2"),
        ([("Service", "a", {"ports": [1, 2], "labels": {}})], "Service a has labels = {} instead of '(nothing)'"),
        ([("Service", "a", {"ports": [1, 2], "data": SECRET})], "Service a has data (secret).password = 'x' instead"),
    ],
)
def test_all_other_differences_are_reported(flat: list[tuple[str, str, Any]], output: str):
    this = [Declared.of("Service", "a", {"ports": [1, 2]})]
    found = differences(this, [Declared.of(*each) for each in flat])
    assert [line for line in found if line.startswith(output)], found


def test_long_lists_of_differences_are_cut():
    this = [Declared.of("Service", str(number), {}) for number in range(9)]
    with pytest.raises(ValueError, match="and 9 in all") as output:
        startup.refuse_others({startup.THIS: this, startup.FLAT: []})
    assert str(output.value).count(" is missing") == startup.MAX_REPORTED
