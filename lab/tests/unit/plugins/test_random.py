"""The random stand-in: which inputs it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN
from lab.plugins.provider import ProviderError, Resource
from lab.plugins.random.__main__ import Random


def failures(kind: str, inputs: dict[str, Any]) -> list[str]:
    token = f"random:index/r{kind[1:]}:{kind}"
    checked = Random(Engine()).check(Resource("urn", token, "it"), {}, inputs)
    return [failure.property for failure in checked.failures]


@pytest.mark.parametrize(
    ("kind", "inputs", "properties"),
    [
        ("RandomPassword", {"length": 8, "keepers": {"a": UNKNOWN}}, []),
        ("RandomString", {"length": UNKNOWN, "special": False}, []),
        ("RandomId", {"byteLength": 2, "prefix": "a-"}, []),
        ("RandomPassword", {}, ["length"]),
        ("RandomPassword", {"length": 0}, ["length"]),
        ("RandomPassword", {"length": "many"}, ["length"]),
        (
            "RandomPassword",
            {"length": 8, **dict.fromkeys(("upper", "lower", "numeric", "special"), False)},
            ["special"],
        ),
        ("RandomPassword", {"length": 8, "minUpper": 2}, ["minUpper"]),
        ("RandomId", {"byteLength": 0}, ["byteLength"]),
    ],
    ids=str,
)
def test_invalid_input_is_named(kind: str, inputs: dict[str, Any], properties: list[str]) -> None:
    assert failures(kind, inputs) == properties


def test_other_resources_are_refused() -> None:
    with pytest.raises(ProviderError, match="pulumi plugin install resource random 4"):
        failures("RandomPet", {})
