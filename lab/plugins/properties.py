"""Property values: between the wire's `google.protobuf.Struct` and plain Python values.

A property is None, bool, int, float, str, list, dict, `UNKNOWN` or a `Secret`. The wire has only doubles, so whole
numbers become int.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from google.protobuf import struct_pb2

Value: TypeAlias = Any
Properties: TypeAlias = dict[str, Any]

# Signatures and sentinels of the wire format: sdk/go/common/resource/sig and .../resource/plugin/rpc.go.
SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker
UNKNOWN_SENTINELS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
_UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """A value that a preview does not know yet. The only instance is `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in the state and never shows."""

    value: Value

    def __repr__(self) -> str:
        return "Secret([secret])"


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return the properties in a wire message. Raises TypeError for an asset, an archive or a resource reference."""
    return {key: from_value(value) for key, value in struct.fields.items()}


def from_value(value: struct_pb2.Value) -> Value:
    """Return one property of a wire message. Raises like `from_struct`."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_SENTINELS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [from_value(element) for element in value.list_value.values]
    if kind == "struct_value":
        fields = from_struct(value.struct_value)
        signature = fields.get(SIGNATURE_KEY)
        if signature is None:
            return fields
        if signature == SECRET_SIGNATURE:
            return Secret(fields.get("value"))
        raise TypeError("The lab's stand-ins take no assets, archives or resource references as inputs.")
    return None


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Return a wire message of the properties. Raises TypeError for any other value."""
    return struct_pb2.Struct(fields={key: to_value(value) for key, value in properties.items()})


def to_value(value: Value) -> struct_pb2.Value:
    """Return one property in its wire format. Raises like `to_struct`."""
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=float(value))
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Unknown):
        return struct_pb2.Value(string_value=_UNKNOWN_STRING)
    if isinstance(value, Secret):
        return struct_pb2.Value(struct_value=to_struct({SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value}))
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Value]", value)
        return struct_pb2.Value(struct_value=to_struct(mapping))
    if isinstance(value, (list, tuple)):
        elements = cast("list[Value]", value)
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(element) for element in elements]))
    raise TypeError(f"{type(value).__name__} is not a property value")


def plain(value: Value) -> Value:
    """Return the value with all its secrets opened. Unknown values stay."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(element) for key, element in cast("Properties", value).items()}
    if isinstance(value, list):
        return [plain(element) for element in cast("list[Value]", value)]
    return value


def contains_secret(value: Value) -> bool:
    """Return whether any part of the value is secret."""
    return _contains(value, Secret)


def contains_unknown(value: Value) -> bool:
    """Return whether any part of the value is unknown, also inside a secret."""
    return _contains(value, Unknown)


def _contains(value: Value, kind: type) -> bool:
    if isinstance(value, kind):
        return True
    if isinstance(value, Secret):
        return _contains(value.value, kind)
    if isinstance(value, Mapping):
        return any(_contains(element, kind) for element in cast("Properties", value).values())
    if isinstance(value, (list, tuple)):
        return any(_contains(element, kind) for element in cast("list[Value]", value))
    return False


def keep_secret(outputs: Mapping[str, Value], inputs: Mapping[str, Value]) -> Properties:
    """Return the outputs, with every value secret that is secret in the inputs under the same name.

    A list with a secret in it becomes secret as a whole, because its elements may have moved. The engine does the same
    for plugins that do not support secrets.
    """
    kept: Properties = dict(outputs)
    for key, given in inputs.items():
        if key not in kept or isinstance(kept[key], Secret):
            continue
        if isinstance(kept[key], Mapping) and isinstance(given, Mapping):
            kept[key] = keep_secret(kept[key], cast("Properties", given))
        elif contains_secret(given):
            kept[key] = Secret(plain(kept[key]))
    return kept
