"""The resource types of the stand-in for `random`: their inputs, and how their results are made."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import bcrypt

from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure

ALPHABETS = {
    "lower": string.ascii_lowercase,
    "numeric": string.digits,
    "special": "!@#$%&*()-_=+[]{}<>:?",
    "upper": string.ascii_uppercase,
}
# Go's bcrypt.DefaultCost, which the official plugin uses, and the number of bytes that bcrypt reads.
BCRYPT_ROUNDS = 10
BCRYPT_BYTES = 72


@dataclass(frozen=True)
class Kind:
    """A resource type.

    ``size`` is the required input, at least 1. ``inputs`` are the optional ones with their types, ``defaults`` their
    values in the outputs. ``make`` returns the id and the results from complete inputs.
    """

    size: str
    inputs: Mapping[str, type]
    defaults: Mapping[str, Value]
    make: Callable[[Properties], tuple[str, Properties]]
    results: tuple[str, ...]
    secret: frozenset[str] = field(default=frozenset())

    def invalid(self, inputs: Properties) -> list[Failure]:
        """Return the errors in complete and known inputs."""
        size = inputs[self.size]
        if size < 1:
            return [Failure(self.size, f"is {size}, and must be at least 1.")]
        if "special" in self.inputs and not any(inputs[name] for name in ALPHABETS):
            return [Failure("special", "one of special, upper, lower and numeric must be true.")]
        return []


def _characters(inputs: Properties) -> str:
    alphabet = "".join(letters for name, letters in ALPHABETS.items() if inputs[name])
    return "".join(secrets.choice(alphabet) for _ in range(inputs["length"]))


def _password(inputs: Properties) -> tuple[str, Properties]:
    result = _characters(inputs)
    hashed = bcrypt.hashpw(result.encode()[:BCRYPT_BYTES], bcrypt.gensalt(BCRYPT_ROUNDS, b"2a"))
    return "none", {"result": result, "bcryptHash": hashed.decode()}


def _string(inputs: Properties) -> tuple[str, Properties]:
    result = _characters(inputs)
    return result, {"result": result}


def _id(inputs: Properties) -> tuple[str, Properties]:
    data, prefix = secrets.token_bytes(inputs["byteLength"]), inputs.get("prefix") or ""
    url = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return url, {
        "b64Std": prefix + base64.b64encode(data).decode(),
        "b64Url": prefix + url,
        "dec": prefix + str(int.from_bytes(data, "big")),
        "hex": prefix + data.hex(),
    }


_FLAGS = dict.fromkeys(ALPHABETS, bool)
# The official plugin has `number` as an alias of `numeric`, and a minimum for each class of characters.
_TEXT_DEFAULTS = {
    **dict.fromkeys([*ALPHABETS, "number"], True),
    **dict.fromkeys(["minLower", "minNumeric", "minSpecial", "minUpper"], 0),
}
KINDS = {
    "random:index/randomPassword:RandomPassword": Kind(
        "length",
        _FLAGS,
        _TEXT_DEFAULTS,
        _password,
        results=("result", "bcryptHash"),
        secret=frozenset({"result", "bcryptHash"}),
    ),
    "random:index/randomString:RandomString": Kind("length", _FLAGS, _TEXT_DEFAULTS, _string, results=("result",)),
    "random:index/randomId:RandomId": Kind(
        "byteLength", {"prefix": str}, {}, _id, results=("b64Std", "b64Url", "dec", "hex")
    ),
}
