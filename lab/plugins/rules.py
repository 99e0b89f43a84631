"""Checks of a resource's inputs: types from the SDK, and values and patterns that the cloud's documentation states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.plugins.properties import Properties, Unknown, plain
from lab.plugins.provider import Failure
from lab.plugins.sdk import Input, InputType

_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}


@dataclass(frozen=True)
class Rule:
    """What a value must be, beyond its type; ``expected`` says so in words.

    For a list or map, the rule holds for each element.
    """

    expected: str
    pattern: str = ""
    """A regular expression for the whole value."""
    values: frozenset[str | int] | range = frozenset()

    def allows(self, value: str | int) -> bool:
        """Return whether the value follows the rule."""
        if self.values and value not in self.values:
            return False
        return not self.pattern or bool(re.fullmatch(self.pattern, str(value)))


def matches(pattern: str, expected: str) -> Rule:
    """Return a rule that the whole value must match a regular expression."""
    return Rule(expected, pattern=pattern)


def at_most(length: int) -> Rule:
    """Return a rule that limits the number of characters."""
    return Rule(f"at most {length} characters long", pattern=f"(?s).{{0,{length}}}")


def one_of(*values: str | int) -> Rule:
    """Return a rule that the value is one of these."""
    return Rule(f"one of {', '.join(map(str, sorted(values, key=str)))}", values=frozenset(values))


def between(lowest: int, highest: int) -> Rule:
    """Return a rule that the number is within a range, ends included."""
    return Rule(f"from {lowest} to {highest}", values=range(lowest, highest + 1))


@dataclass(frozen=True)
class InputRules:
    """A type's inputs: those the SDK declares, and what the documentation adds.

    Keys of ``rules`` are property paths without list indexes (``vpcConfig.subnetIds``).
    """

    inputs: Mapping[str, Input]
    rules: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    required: Iterable[str] = ()
    """Inputs that the SDK leaves optional and the provider, or the simulation, requires."""

    def failures(self, given: Properties) -> list[Failure]:
        """Return everything wrong with the inputs: unknown or missing names, wrong types, wrong values."""
        missing = [Failure(name, "is required, and is missing.") for name in self.required if given.get(name) is None]
        return missing + self._object(self.inputs, given, "", "")

    def _object(self, inputs: Mapping[str, Input], given: Properties, path: str, rule: str) -> list[Failure]:
        found = [
            Failure(path + name, "is required, and is missing.")
            for name, each in inputs.items()
            if each.required and given.get(name) is None
        ]
        for name, value in given.items():
            if name.startswith("__"):
                continue  # the engine's own
            if name not in inputs:
                known = ", ".join(sorted(inputs))
                found.append(Failure(path + name, f"is not an input of this type; its inputs are {known}."))
            elif value is not None:
                found += self._value(inputs[name].type, plain(value), path + name, rule + name)
        return found

    def _value(self, wanted: InputType, value: Any, path: str, rule: str) -> list[Failure]:
        if isinstance(value, Unknown):
            return []
        if wanted.accepts and not _is(value, wanted.accepts):
            return [Failure(path, f"is {value!r}, and must be {_NAMES.get(wanted.accepts[-1], 'a list')}.")]
        if wanted.fields is not None:
            return self._object(wanted.fields, value, f"{path}.", f"{rule}.")
        if wanted.element:
            elements = value.items() if isinstance(value, dict) else enumerate(value)
            places = (
                (f"{path}.{key}" if isinstance(value, dict) else f"{path}[{key}]", each) for key, each in elements
            )
            return [found for place, each in places for found in self._value(wanted.element, each, place, rule)]
        wrong = self.rules.get(rule) or (one_of(*wanted.values) if wanted.values else None)
        if wrong is None or wrong.allows(value):
            return []
        return [Failure(path, f"is {value!r}, and must be {wrong.expected}.")]


def _is(value: object, types: tuple[type, ...]) -> bool:
    """Return whether the value has one of the types; a bool is not a number here."""
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
