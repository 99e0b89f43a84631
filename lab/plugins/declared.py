"""What a simulated resource type accepts: its properties, their types and values, and what a change of one means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lab.plugins.properties import Properties, Unknown, Value, plain
from lab.plugins.provider import Failure

_WORDS = {str: "a string", int: "a whole number", bool: "true or false", dict: "an object", list: "a list"}


@dataclass(frozen=True)
class Property:
    """One input property.

    ``replaces``: a change of it makes a new resource. ``values``: all that it may be. ``pattern`` is for the whole of
    a string, and ``rule`` says the same in words. ``inner``: properties of an object, or of each element of a list;
    ``each``: type of what is in a list or a map, where that is no object; ``values`` and ``pattern`` are then for each.
    """

    type: type
    required: bool = False
    replaces: bool = False
    values: frozenset[str | int] = frozenset()
    pattern: str = ""
    rule: str = ""
    inner: Mapping[str, Property] = field(default_factory=dict[str, "Property"])
    each: type | None = None


def failures(properties: Mapping[str, Property], given: Properties, path: str = "") -> list[Failure]:
    """Everything that is wrong with the given properties: unknown, missing, of a wrong type or value."""
    found: list[Failure] = []
    for name, wanted in properties.items():
        if wanted.required and given.get(name) is None:
            found.append(Failure(path + name, "is required, and is missing."))
    for name, value in given.items():
        if name.startswith("__"):
            continue  # the engine's own
        if name not in properties:
            known = ", ".join(sorted(properties))
            found.append(Failure(path + name, f"is no property that this simulation knows; it knows {known}."))
        elif value is not None:
            found += _wrong(properties[name], plain(value), path + name)
    return found


def _wrong(wanted: Property, value: Value, path: str) -> list[Failure]:
    if isinstance(value, Unknown):
        return []
    if not _is(wanted.type, value):
        return [Failure(path, f"is {value!r}, and must be {_WORDS[wanted.type]}.")]
    if wanted.type is dict and wanted.inner:
        return failures(wanted.inner, value, f"{path}.")
    if wanted.type is dict:
        return [fault for key, element in value.items() for fault in _element(wanted, element, f"{path}.{key}")]
    if wanted.type is list:
        return [fault for index, element in enumerate(value) for fault in _element(wanted, element, f"{path}[{index}]")]
    return _wrong_value(wanted, value, path)


def _wrong_value(wanted: Property, value: Value, path: str) -> list[Failure]:
    if wanted.values and value not in wanted.values:
        return [
            Failure(path, f"is {value!r}, and must be one of {', '.join(map(str, sorted(wanted.values, key=str)))}.")
        ]
    if wanted.pattern and not re.fullmatch(wanted.pattern, str(value)):
        return [Failure(path, f"is {value!r}, and must be {wanted.rule}.")]
    return []


def _element(wanted: Property, element: Value, path: str) -> list[Failure]:
    if isinstance(element, Unknown):
        return []
    kind = wanted.each or (dict if wanted.inner else None)
    if kind and not _is(kind, element):
        return [Failure(path, f"is {element!r}, and must be {_WORDS[kind]}.")]
    return failures(wanted.inner, element, f"{path}.") if wanted.inner else _wrong_value(wanted, element, path)


def _is(kind: type, value: Value) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def replacing(properties: Mapping[str, Property], path: str = "") -> Iterable[str]:
    """Paths of the properties whose change makes a new resource."""
    for name, wanted in properties.items():
        if wanted.replaces:
            yield path + name
        elif wanted.inner:
            yield from replacing(wanted.inner, f"{path}{name}{'[*]' if wanted.type is list else ''}.")
