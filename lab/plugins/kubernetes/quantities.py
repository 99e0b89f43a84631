"""Kubernetes quantities in the API server's canonical form: `1000m` is `1`, `0.5Gi` is `512Mi`."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil
from typing import Any

from lab.plugins.properties import Properties, Value

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENTS = {suffix: exponent for exponent, suffix in _DECIMAL.items()}

# Fields of the covered kinds that hold quantities: maps of them, and single ones.
_MAPS = ("limits", "requests")
_SINGLE = ("sizeLimit", "divisor")


def canonical(text: str) -> str:
    """Return the quantity as the API server writes it, or the text itself if it is not a quantity."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return text
    number, suffix = Fraction(match[1]), match[2] or ""
    if suffix in _BINARY[1:]:
        value = number * 1024 ** _BINARY.index(suffix)
        return _decimal(value) if abs(value) < 1024 else _binary(value)
    if suffix in _EXPONENTS:
        return _decimal(number * Fraction(10) ** _EXPONENTS[suffix])
    mantissa, exponent = _reduced(number * Fraction(10) ** int(suffix[1:]))
    return f"{mantissa}e{exponent}" if exponent else str(mantissa)


def amount(text: str) -> Fraction:
    """Return the number that a quantity without an exponent stands for: CPUs, or bytes."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = Fraction(match[1]), match[2] or ""
    if suffix in _BINARY[1:]:
        return number * 1024 ** _BINARY.index(suffix)
    return number * Fraction(10) ** _EXPONENTS[suffix]


def _binary(value: Fraction) -> str:
    whole, power = ceil(value), 0
    while whole % 1024 == 0 and power < len(_BINARY) - 1:
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY[power]}"


def _decimal(value: Fraction) -> str:
    mantissa, exponent = _reduced(value)
    return f"{mantissa}{_DECIMAL[exponent]}"


def _reduced(value: Fraction) -> tuple[int, int]:
    """Return the mantissa and the largest power of 1000 that keeps it whole. Nano is the finest unit."""
    if value == 0:
        return 0, 0
    exponent = -9
    whole = ceil(value * 10**9)
    while whole % 1000 == 0 and exponent < 18:
        whole, exponent = whole // 1000, exponent + 3
    return whole, exponent


def normalize_quantities(value: Value) -> Value:
    """Return an object with all its quantities in canonical form."""
    if isinstance(value, dict):
        return {key: _normalize_field(key, element) for key, element in value.items()}
    if isinstance(value, list):
        return [normalize_quantities(element) for element in value]
    return value


def _normalize_field(key: str, value: Any) -> Value:
    if key in _MAPS and isinstance(value, dict):
        quantities: Properties = {name: _normalize_quantity(quantity) for name, quantity in value.items()}
        return quantities
    return _normalize_quantity(value) if key in _SINGLE else normalize_quantities(value)


def _normalize_quantity(value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return normalize_quantities(value)
    return canonical(str(value))
