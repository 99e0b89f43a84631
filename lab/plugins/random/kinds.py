"""The resource types of the provider `random`: their inputs, how their results are made, and how they are imported."""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import bcrypt

from lab.plugins.serving import Failure, Properties, Value

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
# Go's bcrypt.DefaultCost, which the official plugin uses.
BCRYPT_ROUNDS = 10
# bcrypt looks at no more than this many bytes.
BCRYPT_LIMIT = 72

CHARACTER_INPUTS = {
    "upper": bool,
    "lower": bool,
    "numeric": bool,
    "number": bool,
    "special": bool,
    "minUpper": int,
    "minLower": int,
    "minNumeric": int,
    "minSpecial": int,
    "overrideSpecial": str,
}
_CHARACTER_DEFAULTS: Properties = {
    "upper": True,
    "lower": True,
    "numeric": True,
    "special": True,
    "minUpper": 0,
    "minLower": 0,
    "minNumeric": 0,
    "minSpecial": 0,
}


@dataclass(frozen=True)
class Kind:
    """A resource type: its inputs, its results and how it is imported."""

    required: Mapping[str, type]
    make: Callable[[Properties], tuple[str, Properties]]
    """From complete inputs to the id and the results."""
    results: tuple[str, ...]
    imported: Callable[[str], tuple[str, Properties, Properties]]
    """From the text after `pulumi import` to id, inputs and results; ValueError if it can't be."""
    import_form: str
    optional: Mapping[str, type] = field(default_factory=dict[str, type])
    defaults: Mapping[str, Value] = field(default_factory=dict[str, Value])
    secret: frozenset[str] = frozenset()
    invalid: Callable[[Properties], list[Failure]] = lambda _: []


def _text(inputs: Properties) -> str:
    special = inputs.get("overrideSpecial") or SPECIAL
    alphabets = {
        "upper": string.ascii_uppercase,
        "lower": string.ascii_lowercase,
        "numeric": string.digits,
        "special": special,
    }
    every = "".join(letters for name, letters in alphabets.items() if inputs[name])
    # A minimum counts also for a class that is switched off for the rest, as it does in the official plugin.
    chosen = [
        secrets.choice(letters) for name, letters in alphabets.items() for _ in range(inputs[f"min{name.capitalize()}"])
    ]
    chosen += [secrets.choice(every) for _ in range(inputs["length"] - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _invalid_text(inputs: Properties) -> list[Failure]:
    failures = _too_small(inputs, "length", 1)
    failures += [each for name in inputs if name.startswith("min") for each in _too_small(inputs, name, 0)]
    if failures:
        return failures
    minimum = sum(inputs[name] for name in ("minUpper", "minLower", "minNumeric", "minSpecial"))
    if inputs["length"] < minimum:
        reason = f"is {inputs['length']}, less than the sum of all minimum numbers of characters, {minimum}."
        failures.append(Failure("length", reason))
    elif inputs["length"] > minimum and not any(inputs[name] for name in ("upper", "lower", "numeric", "special")):
        failures.append(Failure("special", "one of special, upper, lower and numeric must be true."))
    if "number" in inputs and inputs["number"] != inputs["numeric"]:
        failures.append(Failure("number", "contradicts numeric; leave it out, it is deprecated."))
    return failures


def _too_small(inputs: Properties, name: str, least: int) -> list[Failure]:
    return [Failure(name, f"is {inputs[name]}, and must be at least {least}.")] if inputs[name] < least else []


def _bcrypt(text: str) -> str:
    return bcrypt.hashpw(text.encode()[:BCRYPT_LIMIT], bcrypt.gensalt(BCRYPT_ROUNDS, b"2a")).decode()


def _password(inputs: Properties) -> tuple[str, Properties]:
    result = _text(inputs)
    return "none", {"result": result, "bcryptHash": _bcrypt(result)}


def _import_password(text: str) -> tuple[str, Properties, Properties]:
    return "none", {"length": len(text)}, {"result": text, "bcryptHash": _bcrypt(text)}


def _string(inputs: Properties) -> tuple[str, Properties]:
    result = _text(inputs)
    return result, {"result": result}


def _bytes_results(data: bytes) -> tuple[str, Properties]:
    text = base64.b64encode(data).decode()
    return text, {"base64": text, "hex": data.hex()}


def _import_bytes(text: str) -> tuple[str, Properties, Properties]:
    data = base64.b64decode(text, validate=True)
    return (text, {"length": len(data)}, _bytes_results(data)[1])


def _id_results(data: bytes, prefix: str) -> tuple[str, Properties]:
    url = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return url, {
        "b64Std": prefix + base64.b64encode(data).decode(),
        "b64Url": prefix + url,
        "dec": prefix + str(int.from_bytes(data, "big")),
        "hex": prefix + data.hex(),
    }


def _id(inputs: Properties) -> tuple[str, Properties]:
    return _id_results(secrets.token_bytes(inputs["byteLength"]), inputs.get("prefix") or "")


def _import_id(text: str) -> tuple[str, Properties, Properties]:
    prefix, _, url = text.rpartition(",")
    data = base64.b64decode(url + "=" * (-len(url) % 4), altchars=b"-_", validate=True)
    identifier, results = _id_results(data, prefix)
    return identifier, {"byteLength": len(data)} | ({"prefix": prefix} if prefix else {}), results


def _integer(inputs: Properties) -> tuple[str, Properties]:
    result = inputs["min"] + secrets.randbelow(inputs["max"] - inputs["min"] + 1)
    return str(result), {"result": result}


def _import_integer(text: str) -> tuple[str, Properties, Properties]:
    result, least, most = (int(part) for part in text.split(","))
    return str(result), {"min": least, "max": most}, {"result": result}


def _invalid_integer(inputs: Properties) -> list[Failure]:
    if inputs["min"] > inputs["max"]:
        return [Failure("min", f"is {inputs['min']}, greater than max, {inputs['max']}.")]
    return []


def _uuid(inputs: Properties) -> tuple[str, Properties]:
    del inputs
    result = str(uuid.uuid4())
    return result, {"result": result}


def _import_uuid(text: str) -> tuple[str, Properties, Properties]:
    result = str(uuid.UUID(text))
    return result, {}, {"result": result}


KINDS: Mapping[str, Kind] = {
    "random:index/randomPassword:RandomPassword": Kind(
        required={"length": int},
        optional=CHARACTER_INPUTS,
        defaults=_CHARACTER_DEFAULTS,
        make=_password,
        results=("result", "bcryptHash"),
        secret=frozenset({"result", "bcryptHash"}),
        imported=_import_password,
        import_form="the password",
        invalid=_invalid_text,
    ),
    "random:index/randomString:RandomString": Kind(
        required={"length": int},
        optional=CHARACTER_INPUTS,
        defaults=_CHARACTER_DEFAULTS,
        make=_string,
        results=("result",),
        imported=lambda text: (text, {"length": len(text)}, {"result": text}),
        import_form="the string",
        invalid=_invalid_text,
    ),
    "random:index/randomBytes:RandomBytes": Kind(
        required={"length": int},
        make=lambda inputs: _bytes_results(secrets.token_bytes(inputs["length"])),
        results=("base64", "hex"),
        secret=frozenset({"base64", "hex"}),
        imported=_import_bytes,
        import_form="the bytes in base64",
        invalid=lambda inputs: _too_small(inputs, "length", 1),
    ),
    "random:index/randomId:RandomId": Kind(
        required={"byteLength": int},
        optional={"prefix": str},
        make=_id,
        results=("b64Std", "b64Url", "dec", "hex"),
        imported=_import_id,
        import_form="[prefix,]bytes in URL-safe base64",
        invalid=lambda inputs: _too_small(inputs, "byteLength", 1),
    ),
    "random:index/randomInteger:RandomInteger": Kind(
        required={"min": int, "max": int},
        make=_integer,
        results=("result",),
        imported=_import_integer,
        import_form="result,min,max",
        invalid=_invalid_integer,
    ),
    "random:index/randomUuid:RandomUuid": Kind(
        required={}, make=_uuid, results=("result",), imported=_import_uuid, import_form="the UUID"
    ),
}
KINDS = {**KINDS, "random:index/randomUuid4:RandomUuid4": KINDS["random:index/randomUuid:RandomUuid"]}
