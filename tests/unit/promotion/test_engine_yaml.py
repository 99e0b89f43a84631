"""YAML is read as the engine reads it."""

from __future__ import annotations

import pytest

from promotion.state.engine_yaml import compose, pairs, text_of, value_of
from tests.unit.promotion.engine_values import VALUES


@pytest.mark.parametrize("written", VALUES)
def test_a_value_is_read_as_the_engine_reads_it(written: str):
    root = compose(f"config:\n  key: {written}\n")
    assert root is not None
    assert text_of(value_of(root)["config"]["key"]) == VALUES[written]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config:\n  a:\t3\n", "line 2: found character '\\t' that cannot start any token"),
        ("config: [\n", "line 2: expected the node content, but found '<stream end>'"),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
        ("a: \x00\n", "special characters are not allowed"),
        ("a: *unknown\n", "line 1: found undefined alias 'unknown'"),
    ],
)
def test_invalid_yaml_is_one_line(text: str, message: str):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        compose(text)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: {b: 1, b: 2}\n", 'a: 1\n"a": 2\n'])
def test_a_key_twice_is_refused_as_the_engine_does(text: str):
    root = compose(text)
    assert root is not None
    with pytest.raises(ValueError, match="is a duplicate"):
        value_of(root)


def test_an_alias_has_the_place_of_its_use():
    root = compose("a: &x 3\nb: *x\n")
    assert root is not None
    _, value = pairs(root)["b"]  # type: ignore[arg-type]
    assert (value.start_mark.line, value.start_mark.column, value.end_mark.column) == (1, 3, 5)
