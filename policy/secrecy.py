"""Secrets are encrypted in the state, and reach pods as Kubernetes Secrets.

A validation is handed values without their secret marks, a remediation with them, right before. So this policy's
remediation, which changes nothing, notes what its validation then reports; that is why its level is `remediate`, which
the engine reports as mandatory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key  # pyright: ignore[reportPrivateUsage]
from pulumi_policy import EnforcementLevel, ReportViolation, ResourceValidationPolicy
from pulumi_policy.deserialize import serialize_properties
from pulumi_policy.proxy import (
    UNKNOWN_STRING_VALUE,
    UnknownValueError,
    _is_unknown,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
)

from policy.judging import Parts, Resource, judge_each, list_at, mapping_at
from policy.pods import containers

#: Names that hold a secret, by their last word: `masterPassword`, `DB_PASSWORD`, `auth-token`.
SECRET_NAME = re.compile(
    r"(?:pass(?:word|wd|phrase)|pwd|secret|secret[_-]?(?:access[_-]?)?(?:key|string|binary|data)|private[_-]?key"
    r"|api[_-]?key|token|credentials?)$",
    re.IGNORECASE,
)
#: Tokens that are no secrets: they only make a request count once.
NO_SECRET = re.compile(r"(?:creation|client|request|idempotency)token$", re.IGNORECASE)
#: Forms that nothing but a credential has, as those who issue them document them.
CREDENTIALS: Mapping[str, re.Pattern[str]] = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a DigitalOcean token": re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{60,})\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}"),
    "a signed token (JWT)": re.compile(r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}"),
    "a URL with a password": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@", re.IGNORECASE),
}
#: Properties all of whose values are secrets, by type.
ALL_SECRET: Mapping[str, tuple[str, ...]] = {"kubernetes:core/v1:Secret": ("data", "stringData")}
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
MARK_IT = (
    "mark it as one: `pulumi config set --secret KEY` for a value of the config, pulumi.Output.secret(...) for one that"
    " the program makes"
)


def credential(text: str) -> str | None:
    """What kind of credential is in the text; None where none is."""
    return next((kind for kind, form in CREDENTIALS.items() if form.search(text)), None)


def is_secret_name(name: str) -> bool:
    """Whether what has that name holds a secret."""
    return bool(SECRET_NAME.search(name)) and not NO_SECRET.search(name)


@dataclass(frozen=True)
class Plain:
    """A value that is not marked as a secret; ``path`` are the keys to it."""

    path: tuple[str, ...]
    value: str

    @property
    def unknown(self) -> bool:
        """Whether a preview can't know it yet."""
        return _is_unknown(self.value)


def plain_values(properties: Any, path: tuple[str, ...] = ()) -> Iterator[Plain]:
    """All texts in properties, as the engine sends them, that are not marked as secrets."""
    if isinstance(properties, str) and properties:
        yield Plain(path, properties)
    elif isinstance(properties, list):
        for number, each in enumerate(cast(list[Any], properties)):
            yield from plain_values(each, (*path, str(number)))
    elif isinstance(properties, Mapping):
        mapping = cast(Mapping[str, Any], properties)
        if mapping.get(_special_sig_key) == _special_secret_sig:
            return
        for key, each in mapping.items():
            if not key.startswith("__"):  # the engine's own
                yield from plain_values(each, (*path, key))


def judge_plain(kind: str, plain: Plain) -> str | None:
    """What is wrong with a plain value of a resource of that type. Raises UnknownValueError."""
    where = ".".join(plain.path)
    names = [name for name in plain.path if not name.isdecimal()]
    secret = is_secret_name(names[-1]) if names else False
    if secret or plain.path[0] in ALL_SECRET.get(kind, ()):
        if plain.unknown:
            raise UnknownValueError(UNKNOWN_STRING_VALUE, list(plain.path))
        return f"{where} is a secret, and is not marked as one, so the state shows it to everybody: {MARK_IT}"
    if not plain.unknown and (found := credential(plain.value)):
        return f"{where} holds {found} in plain text, which the state shows to everybody: {MARK_IT}"
    return None


#: What the remediation has found, by URN, until the validation of the same resource reports it.
_noted: dict[str, list[Plain]] = {}


def _note(resource: Resource) -> None:
    _noted[resource.urn] = list(plain_values(serialize_properties(resource.props)))


def _marked(resource: Resource, report: ReportViolation) -> None:
    if resource.urn not in _noted:
        report(
            "the secret marks can't be seen at this enforcement level: leave secrets-only-as-secrets at `remediate`"
            " (or `disabled`) in the policy's configuration",
            None,
        )
        return
    parts = Parts()
    for plain in _noted.pop(resource.urn):
        with parts.part():
            if wrong := judge_plain(resource.resource_type, plain):
                report(wrong, None)
    parts.end()


@dataclass(frozen=True)
class Shown:
    """A value that everybody sees who may see pods, marked or not; ``holder[key]`` is the value."""

    where: str
    name: str
    holder: Mapping[str, Any]
    key: str


def _shown(resource: Resource) -> Iterator[Shown]:
    """Environment variables with a value of their own, and what ConfigMaps hold."""
    for container in containers(resource):
        for number, variable in enumerate(list_at(container.spec, "env")):
            if "value" in list(variable):
                name = str(variable.get("name") or number)
                yield Shown(f"variable {name} of container `{container.name}`", name, variable, "value")
    if resource.resource_type == CONFIG_MAP:
        data = mapping_at(resource.props, "data")
        for key in list(data):
            yield Shown(f"data.{key}", str(key), data, str(key))


def _by_reference(shown: Shown) -> str | None:
    # The name comes first: it says enough where a preview can't know the value.
    what = "a credential by its name" if is_secret_name(shown.name) else credential(str(shown.holder.get(shown.key)))
    if what is None:
        return None
    return (
        f"{shown.where} holds {what}, readable to all who may see pods: keep it in a Secret (`pulumi config set"
        " --secret --path secretEnvironment.NAME`), which the pods read by reference"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="secrets-only-as-secrets",
        description="Secrets are marked as secrets, so that the state holds them encrypted.",
        enforcement_level=EnforcementLevel.REMEDIATE,
        validate=_marked,
        remediate=_note,
    ),
    ResourceValidationPolicy(
        name="no-secrets-in-environment",
        description="Credentials reach pods as Kubernetes Secrets, by reference.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=judge_each(_shown, _by_reference),
    ),
]
