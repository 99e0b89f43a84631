"""YAML as the engine reads it: gopkg.in/yaml.v3 and Pulumi's config values, which differ from PyYAML's YAML 1.1."""

from __future__ import annotations

import base64
import copy
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

#: Tag of a plain scalar without an explicit tag: its text decides its type.
PLAIN = "plain"
STANDARD = "tag:yaml.org,2002:"
MERGE = "<<"
CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))")
BASES = (16, 2, 8, 10)
SMALLEST, LARGEST = -(2**63), 2**64 - 1
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
#: Formats of gopkg.in/yaml.v3 (resolve.go); a date with a time but no zone needs the space.
TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:[Tt](?=.*(?:Z|[+-][0-9:]{5})$)| (?!.*[Zz+-]))([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
#: Go's encoding/json writes floats with an exponent from the first size upwards, and below the second.
EXPONENT_FROM, EXPONENT_BELOW = 1e21, 1e-6


class _Loader(yaml.SafeLoader):
    """Compose nodes that mark plain scalars. The node of an alias has the position of the alias."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            return PLAIN
        return cast(Any, super()).resolve(kind, value, implicit)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        reader = cast(Any, self)
        alias = reader.peek_event() if reader.check_event(yaml.AliasEvent) else None
        node = cast(Any, super()).compose_node(parent, index)
        if alias is not None:
            node = copy.copy(node)
            node.start_mark, node.end_mark = alias.start_mark, alias.end_mark
        return node


def compose(text: str) -> Node | None:
    """Return the root node of the only document; None if there is none. Raises ValueError with one line."""
    try:
        return cast("Node | None", cast(Any, yaml).compose(text, _Loader))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def pairs(node: MappingNode) -> dict[str, tuple[Node, Node]]:
    """Return the mapping's nodes by key, merged mappings included. Raises ValueError if a key occurs twice."""
    own: dict[str, tuple[Node, Node]] = {}
    merged: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if key.tag == PLAIN and key.value == MERGE:
            for each in value.value if isinstance(value, SequenceNode) else [value]:
                merged = {**(pairs(each) if isinstance(each, MappingNode) else {}), **merged}
            continue
        name = str(key.value)
        if name in own:
            raise ValueError(f"line {key.start_mark.line + 1}: the key `{name}` is a duplicate; delete one")
        own[name] = (key, value)
    return {**merged, **own}


def value_of(node: Node) -> Any:
    """Return a node's value as the engine decodes it. Raises ValueError if a key occurs twice."""
    if isinstance(node, MappingNode):
        return {key: value_of(value) for key, (_, value) in pairs(node).items()}
    if isinstance(node, SequenceNode):
        return [value_of(each) for each in node.value]
    return _scalar(node.tag, str(node.value))


def text_of(value: Any) -> str:
    """Return a value as the engine passes it to a program: text as it is, null as "", all else as JSON.

    Objects and arrays are in Python's form of JSON with sorted keys, since the engine sorts them.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return _float_text(value) if isinstance(value, float) else json.dumps(value, sort_keys=True)


def normal_form(value: str) -> str:
    """Return arrays and objects in one JSON form, since the engine, the schema and people write them differently."""
    try:
        return json.dumps(json.loads(value), sort_keys=True) if value[:1] in ("[", "{") else value
    except ValueError:
        return value


def _scalar(tag: str, text: str) -> Any:
    kind = tag.removeprefix(STANDARD)
    if kind == "binary":
        return base64.b64decode(text).decode(errors="replace")
    if tag == PLAIN or kind in ("int", "float", "bool", "null", "timestamp"):
        return _plain(text)
    return text


def _plain(text: str) -> Any:
    if text in CONSTANTS:
        return CONSTANTS[text]
    if (time := _timestamp(text)) is not None:
        return time
    digits = text.replace("_", "") if re.match(r"[-+0-9]", text) else text
    if match := INTEGER.fullmatch(digits):
        base, number = next((base, each) for base, each in zip(BASES, match.groups()[1:], strict=True) if each)
        integer = int(match[1] + number, base)
        if SMALLEST <= integer <= LARGEST:
            return integer
    if FLOAT.fullmatch(digits) and abs(number := float(digits)) != float("inf"):
        # A whole number becomes an integer on its way through the engine.
        return int(Decimal(repr(number))) if number.is_integer() and abs(number) < EXPONENT_FROM else number
    return text


def _timestamp(text: str) -> str | None:
    """Return a timestamp as Go prints it; None if the text is not a timestamp."""
    match = TIMESTAMP.fullmatch(text)
    if not match:
        return None
    numbers = [int(each or 0) for each in match.groups()[:6]]
    zone = match[8] if match[8] not in (None, "Z") else ""
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])) * (-1 if zone[0] == "-" else 1) if zone else None
    try:
        time = datetime(*numbers, tzinfo=timezone(offset) if offset else UTC)  # type: ignore[arg-type]
    except ValueError:
        return None
    fraction = f".{match[7]}".rstrip("0").rstrip(".") if match[7] else ""
    shown = zone.replace(":", "")
    return f"{time:%Y-%m-%d %H:%M:%S}{fraction} {f'{shown} {shown}' if offset else '+0000 UTC'}"


def _float_text(number: float) -> str:
    """Return a float as Go's encoding/json writes it."""
    if EXPONENT_BELOW <= abs(number) < EXPONENT_FROM:
        return format(Decimal(repr(number)), "f")
    return re.sub(r"e([+-])0(\d)$", r"e\1\2", repr(number))
