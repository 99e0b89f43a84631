"""Property values on the wire and as Python values."""

from __future__ import annotations

import pytest
from google.protobuf import struct_pb2

from lab.plugins.properties import (
    UNKNOWN,
    Secret,
    contains_secret,
    contains_unknown,
    from_struct,
    keep_secret,
    plain,
    to_struct,
)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        7,
        1.5,
        2**53,
        "",
        "text ä",
        [],
        {},
        [1, "two", [3], {"four": None}],
        Secret("s"),
        Secret({"a": [1, UNKNOWN]}),
        {"nested": {"secret": Secret([1, 2])}},
        UNKNOWN,
    ],
    ids=repr,
)
def test_value_survives_the_wire(value: object) -> None:
    assert from_struct(to_struct({"it": value})) == {"it": value}


def test_true_is_not_a_number() -> None:
    wire = to_struct({"yes": True, "one": 1})
    assert wire.fields["yes"].WhichOneof("kind") == "bool_value"
    assert wire.fields["one"].WhichOneof("kind") == "number_value"
    assert type(from_struct(wire)["one"]) is int


def test_assets_are_refused() -> None:
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "path": "a.txt"}
    with pytest.raises(TypeError, match="no assets"):
        from_struct(to_struct({"it": asset}))


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="bytes is not a property"):
        to_struct({"it": b"bytes"})


def test_secret_and_unknown_are_found_at_any_depth() -> None:
    assert contains_secret({"a": [{"b": Secret(1)}]})
    assert not contains_secret({"a": [{"b": UNKNOWN}]})
    assert contains_unknown(Secret([UNKNOWN]))
    assert not contains_unknown({"a": [1]})
    assert plain({"a": [Secret({"b": Secret(UNKNOWN)})]}) == {"a": [{"b": UNKNOWN}]}


def test_secret_inputs_make_secret_outputs() -> None:
    inputs = {"token": Secret("t"), "data": {"open": 1, "hidden": Secret(2)}, "list": [1, Secret(2)], "gone": Secret(1)}
    outputs = {"token": "t", "data": {"open": 1, "hidden": 2, "more": 3}, "list": [2, 1], "id": "x"}
    assert keep_secret(outputs, inputs) == {
        "token": Secret("t"),
        "data": {"open": 1, "hidden": Secret(2), "more": 3},
        "list": Secret([2, 1]),
        "id": "x",
    }


def test_repr_hides_a_secret() -> None:
    assert "hush" not in repr({"a": Secret("hush")})


def test_null_is_not_a_missing_key() -> None:
    assert from_struct(struct_pb2.Struct(fields={"a": struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)})) == {
        "a": None
    }
