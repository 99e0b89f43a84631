"""Secrets are encrypted in the state, and reach pods as Kubernetes Secrets.

The engine passes secret marks to a remediation, but not to the validation that follows. So the remediation here changes
nothing: it records the values, and the validation reports them. Its level is therefore `remediate`, which the engine
reports as mandatory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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

from policy.pods import containers
from policy.rules import Parts, Resource, check_each, list_at, mapping_at

#: Names of secrets, by their last word: `masterPassword`, `DB_PASSWORD`, `auth-token`.
SECRET_NAME = re.compile(
    r"(?:pass(?:word|wd|phrase)|pwd|secret|secret[_-]?(?:access[_-]?)?(?:key|string|binary|data)|private[_-]?key"
    r"|api[_-]?key|token|credentials?)$",
    re.IGNORECASE,
)
#: Tokens that are not secrets: they make a request idempotent.
NOT_SECRET = re.compile(r"(?:creation|client|request|idempotency)token$", re.IGNORECASE)
#: Properties that name a secret, by a whole word before or after: `existingSecret`, `tlsSecret`, `passwordSecret`.
SECRETS_NAME = re.compile(
    r"(?:^|[_-]|(?<=[a-z])(?=[A-Z]))(?i:existing\w*[_-]?secret"
    r"|(?:tls|ssl|ca|cert|certificate|pull|registry|password|credentials?)s?[_-]?secret$)"
)
#: Names of objects that name a secret: `secretKeyRef`, `passwordSecretReference`.
REFERENCE = re.compile(r"secret\w*ref(?:erence)?s?$", re.IGNORECASE)
#: Values that are names of secrets in a cloud's store of secrets.
STORED = re.compile(r"projects/[^/]+/secrets/[^/]+(?:/.*)?|arn:[^:]*:(?:secretsmanager|ssm):.*")
#: Formats that only credentials have, as their issuers document them.
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
#: Properties in which every value is a secret, by type.
ALL_SECRET: Mapping[str, tuple[str, ...]] = {"kubernetes:core/v1:Secret": ("data", "stringData")}
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
MARK_IT = (
    "mark it as a secret: `pulumi config set --secret KEY` for a config value, pulumi.Output.secret(...) for one that"
    " the program creates"
)


def credential(text: str) -> str | None:
    """Return the kind of credential that the text contains; None if there is none."""
    return next((kind for kind, pattern in CREDENTIALS.items() if pattern.search(text)), None)


def is_secret_name(name: str) -> bool:
    """Return whether a property or variable of this name is a secret."""
    return bool(SECRET_NAME.search(name)) and not NOT_SECRET.search(name)


def _refers(path: Sequence[str], value: str) -> bool:
    """Return whether a value names a secret that is kept elsewhere."""
    if STORED.fullmatch(value) or any(REFERENCE.search(name) for name in path[:-1]):
        return True
    # A name in capitals is an environment variable's: SESSION_PASSWORD_SECRET is a secret.
    return not path[-1].isupper() and bool(SECRETS_NAME.search(path[-1]))


@dataclass(frozen=True)
class Plain:
    """A value that is not marked as a secret, and the path of keys to it."""

    path: tuple[str, ...]
    value: str

    @property
    def unknown(self) -> bool:
        """Whether the value is not known in the preview yet."""
        return _is_unknown(self.value)


def plain_values(properties: Any, path: tuple[str, ...] = ()) -> Iterator[Plain]:
    """Yield all strings in properties, as the engine sends them, that are not marked as secrets."""
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
            if not key.startswith("__"):  # internal to the engine
                yield from plain_values(each, (*path, key))


def check_plain(kind: str, plain: Plain) -> str | None:
    """Return what is wrong with a plain value of a resource of this type. Raises UnknownValueError."""
    where = ".".join(plain.path)
    names = [name for name in plain.path if not name.isdecimal()]
    secret = bool(names) and is_secret_name(names[-1]) and not _refers(names, plain.value)
    if secret or plain.path[0] in ALL_SECRET.get(kind, ()):
        if plain.unknown:
            raise UnknownValueError(UNKNOWN_STRING_VALUE, list(plain.path))
        return f"{where} is a secret but is not marked as one, so the state shows it to everyone: {MARK_IT}"
    if not plain.unknown and (kind_found := credential(plain.value)):
        return f"{where} contains {kind_found} in plain text, which the state shows to everyone: {MARK_IT}"
    return None


#: Plain values that the remediation recorded, by URN, until the validation of the same resource reports them.
_recorded: dict[str, list[Plain]] = {}


def _record(resource: Resource) -> None:
    _recorded[resource.urn] = list(plain_values(serialize_properties(resource.props)))


def _check_marks(resource: Resource, report: ReportViolation) -> None:
    if resource.urn not in _recorded:
        report(
            "secret marks are not visible at this enforcement level: leave secrets-only-as-secrets at `remediate`"
            " (or `disabled`) in the policy's configuration",
            None,
        )
        return
    parts = Parts()
    for plain in _recorded.pop(resource.urn):
        with parts.part():
            if wrong := check_plain(resource.resource_type, plain):
                report(wrong, None)
    parts.end()


@dataclass(frozen=True)
class Visible:
    """A value that anyone who may view pods can read, even if marked as a secret; it is ``holder[key]``."""

    where: str
    name: str
    holder: Mapping[str, Any]
    key: str


def _visible(resource: Resource) -> Iterator[Visible]:
    """Yield environment variables with a literal value, and the values of ConfigMaps."""
    for container in containers(resource):
        for number, variable in enumerate(list_at(container.spec, "env")):
            if "value" in list(variable):
                name = str(variable.get("name") or number)
                yield Visible(f"variable {name} of container `{container.name}`", name, variable, "value")
    if resource.resource_type == CONFIG_MAP:
        data = mapping_at(resource.props, "data")
        for key in list(data):
            yield Visible(f"data.{key}", str(key), data, str(key))


def _by_reference(visible: Visible) -> str | None:
    # The name is checked first: it is known even when the value is not.
    what = (
        "a credential, by its name"
        if is_secret_name(visible.name)
        else credential(str(visible.holder.get(visible.key)))
    )
    if what is None:
        return None
    return (
        f"{visible.where} contains {what}, readable by anyone who may view pods: move it to a Secret (`pulumi config"
        " set --secret --path secretEnvironment.NAME`)"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="secrets-only-as-secrets",
        description="Secrets are marked as secrets, so that the state encrypts them.",
        enforcement_level=EnforcementLevel.REMEDIATE,
        validate=_check_marks,
        remediate=_record,
    ),
    ResourceValidationPolicy(
        name="no-secrets-in-environment",
        description="Pods read credentials from Kubernetes Secrets.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_each(_visible, _by_reference),
    ),
]
