"""Property values: between the wire's `google.protobuf.Struct` and plain Python values.

A property is None, bool, int, float, str, a list, a dict, or one of the classes below. Numbers that are whole come
out as int, as JSON would have them (the wire knows only doubles).
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
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
REFERENCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
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
    """A value that is not known yet, in a preview. There is one: `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that is stored encrypted and never shown."""

    value: Value

    def __repr__(self) -> str:
        return "Secret([secret])"


@dataclass(frozen=True)
class Special:
    """An asset, an archive, or a reference to a resource, passed through as it came."""

    signature: str
    fields: Mapping[str, Value]

    @property
    def kind(self) -> str:
        return {ASSET_SIGNATURE: "asset", ARCHIVE_SIGNATURE: "archive", REFERENCE_SIGNATURE: "resource"}.get(
            self.signature, "unrecognised"
        )


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """The properties in a wire message."""
    return {key: from_value(value) for key, value in struct.fields.items()}


def from_value(value: struct_pb2.Value) -> Value:
    """One property of a wire message."""
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
        return _from_signed(from_struct(value.struct_value))
    return None


def _from_signed(fields: Properties) -> Value:
    signature = fields.get(SIGNATURE_KEY)
    if signature is None:
        return fields
    if signature == SECRET_SIGNATURE:
        return Secret(fields.get("value"))
    if signature == OUTPUT_SIGNATURE:
        known = fields.get("value", UNKNOWN)
        return Secret(known) if fields.get("secret") else known
    return Special(str(signature), {key: value for key, value in fields.items() if key != SIGNATURE_KEY})


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """A wire message of properties. Raises TypeError for a value that is no property."""
    return struct_pb2.Struct(fields={key: to_value(value) for key, value in properties.items()})


def to_value(value: Value) -> struct_pb2.Value:
    """One property as the wire has it."""
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
        return _signed(SECRET_SIGNATURE, {"value": value.value})
    if isinstance(value, Special):
        return _signed(value.signature, value.fields)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Value]", value)
        return struct_pb2.Value(struct_value=to_struct(mapping))
    if isinstance(value, (list, tuple)):
        elements = cast("list[Value]", value)
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(element) for element in elements]))
    raise TypeError(f"{type(value).__name__} is no property value")


def _signed(signature: str, fields: Mapping[str, Value]) -> struct_pb2.Value:
    return struct_pb2.Value(struct_value=to_struct({SIGNATURE_KEY: signature, **fields}))


def plain(value: Value) -> Value:
    """The value with every secret in it laid open; unknowns and specials stay."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(element) for key, element in cast("Properties", value).items()}
    if isinstance(value, list):
        return [plain(element) for element in cast("list[Value]", value)]
    return value


def contains_secret(value: Value) -> bool:
    """Whether anything in the value is secret."""
    return _contains(value, Secret)


def contains_unknown(value: Value) -> bool:
    """Whether anything in the value, also beneath a secret, is unknown."""
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
    """The outputs with everything secret again that is secret under the same name in the inputs.

    A list with a secret in it becomes secret as a whole: its elements may have moved (as the engine itself does for
    plugins that don't know secrets).
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
