"""The stack file of a release stack on another stack's platform, and the names that it may have."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import yaml

from contract.project import PROJECT_ROOT, clouds
from contract.settings import DNS_LABEL, DatabaseClientKeys, ServiceSettings, StackSettings, VerdictKeys
from promotion.errors import WRONG_USE, CommandError
from promotion.state.stack_file import StackFile, holds_secret

#: Valid stack names (Pulumi documentation, Stacks), except those that look like an option.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
#: Maximum length of a namespace, as in `contract/settings.py`.
NAMESPACE_LENGTH = 39
#: Hex digits that distinguish names with the same DNS label, such as `Feature_X` and `feature-x`.
DIGEST_DIGITS = 6
#: Form of the key `expires`; such texts sort by time.
EXPIRY = "%Y-%m-%dT%H:%MZ"
#: Keys of a stack file that say how its secrets are encrypted.
ENCRYPTION = ("secretsprovider", "encryptedkey", "encryptionsalt")
POLICY = PROJECT_ROOT / "policy" / "policy-config.json"


@dataclass(frozen=True)
class ReleaseStackFile:
    """The file of a release stack, not written yet.

    ``omitted`` are the keys without a value, because only the platform's stack can decrypt its own.
    """

    name: str
    platform: str
    namespace: str
    text: str
    secrets_provider: str | None
    omitted: tuple[str, ...]


def release_stack_file(
    name: str, like: StackFile, image: str = "", expires: str = "", existing: StackFile | None = None
) -> ReleaseStackFile:
    """Return the file of a release stack on the platform of the stack ``like``, or on that stack's platform.

    Copy the service's config, and its secrets if both stacks can decrypt them. The new release is one pod of ``image``,
    or of an image built from source. ``expires``: when it may be destroyed (``expiry``). ``existing`` is the file to be
    replaced: what the other stack's file cannot give, and without ``expires`` the end, remain. Raises CommandError.
    """
    config, settings = like.config(), like.settings()
    other = like.path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    cloud = _cloud(like, config)
    platform = str(config.get(f"{like.prefix}platformStack") or other)
    encryption = {key: settings[key] for key in ENCRYPTION if key in settings}
    shared = {key: value for key, value in config.items() if _is_shared(key, like.prefix)}
    unreadable = [key for key, value in shared.items() if not encryption and holds_secret(value)]
    present = existing.config() if existing else {}
    kept = {key: present[key] for key in unreadable if key in present}
    if existing and not encryption:
        encryption = {key: value for key, value in existing.settings().items() if key in ENCRYPTION}
    expires = expires or str(present.get(f"{like.prefix}expires") or "")
    namespace = namespace_of(name, str(config.get(f"{like.prefix}namespace") or _default_namespace()))
    own = {
        "cloud": cloud,
        "platformStack": platform,
        "namespace": namespace,
        **({"expires": expires} if expires else {}),
        **({"deletionProtection": "false"} if _has_deletion_protection(cloud) else {}),
        **({"stableImage": image} if image else {}),
        "stableReplicas": "1",
    }
    written = {f"{like.prefix}{key}": value for key, value in own.items()}
    written |= {key: value for key, value in shared.items() if key not in unreadable} | kept
    heading = (
        f"# A release stack on the platform of stack `{platform}`, written by `python -m promotion stack`.\n"
        f"# `python -m promotion unstack --name {name}` destroys it with its namespace, its database and this file.\n"
    )
    omitted = tuple(key for key in unreadable if key not in kept)
    text = heading + yaml.safe_dump({"config": written, **encryption}, sort_keys=False, width=1000)
    return ReleaseStackFile(name, platform, namespace, text, encryption.get("secretsprovider"), omitted)


def namespace_of(name: str, platform: str) -> str:
    """Return the namespace of the release stack ``name``: the platform's namespace and the name, as a DNS label.

    If the label differs from the name, it ends in a digest of the name, so that two names never share a namespace.
    """
    plain = f"{platform}-{name}"
    label = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if label == plain and re.match(DNS_LABEL, plain):
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{label[: NAMESPACE_LENGTH - DIGEST_DIGITS - 1].rstrip('-')}-{digest}"


def expiry(time: datetime) -> str:
    """Write a time (UTC) as in the key ``expires``."""
    return f"{time:{EXPIRY}}"


def has_expired(values: Mapping[str, str], now: datetime) -> bool:
    """Return whether a release stack with this config may be destroyed at ``now`` (UTC)."""
    return bool(values.get("expires") and values.get("platformStack")) and values["expires"] <= expiry(now)


def check_same_place(existing: StackFile, file: ReleaseStackFile) -> None:
    """Raise CommandError if the existing stack is on another platform, or in another namespace, than in ``file``."""
    values = existing.values()
    for key, wanted in (("platformStack", file.platform), ("namespace", file.namespace)):
        if values.get(key) != wanted:
            raise CommandError(
                f"--name {file.name}: the stack exists with {key} {values.get(key)}, and would get {wanted}; destroy it"
                f" first with `python -m promotion unstack --name {file.name}`",
                WRONG_USE,
            )


def check_name(name: str, folder: Path = PROJECT_ROOT, *, may_exist: bool = False) -> None:
    """Raise CommandError if the name is invalid, protected, or (unless it ``may_exist``) in use in this checkout."""
    if not NAME.fullmatch(name):
        raise CommandError(
            f"--name {name!r}: a stack's name has 1 to 100 letters, digits, dots, dashes and underscores, and starts"
            " with a letter or a digit, such as feature-x",
            WRONG_USE,
        )
    if pattern := next((each for each in _production_patterns() if fnmatchcase(name, each)), None):
        raise CommandError(
            f"--name {name}: the policies protect `{pattern}` as production, and a release stack is temporary; choose"
            " another name",
            WRONG_USE,
        )
    if not may_exist and (folder / f"Pulumi.{name}.yaml").exists():
        raise CommandError(
            f"--name {name}: Pulumi.{name}.yaml already exists; choose another name, or update that stack with"
            f" `python -m promotion up --stack {name}`",
            WRONG_USE,
        )


def check_temporary(name: str, file: StackFile) -> None:
    """Raise CommandError if the stack is not a release stack, or is protected from deletion."""
    values = file.values()
    if not values.get("platformStack"):
        raise CommandError(
            f"stack `{name}` is not a release stack: it has its own platform, which other stacks may use;"
            f" `python -m promotion down --stack {name}` destroys it",
            WRONG_USE,
        )
    if is_protected(values):
        raise CommandError(
            f"stack `{name}` is protected from deletion: set deletionProtection to false in {file.path.name} and run"
            f" `python -m promotion up --stack {name}` first",
            WRONG_USE,
        )


def is_protected(values: Mapping[str, str]) -> bool:
    """Return whether the config protects the stack from deletion, as every cloud's does by default."""
    return (
        _has_deletion_protection(values.get("cloud", ""), bool(values.get("platformStack")))
        and values.get("deletionProtection") != "false"
    )


def _cloud(file: StackFile, config: Mapping[str, Any]) -> str:
    cloud = str(config.get(f"{file.prefix}cloud") or "")
    if cloud not in clouds():
        raise CommandError(f"{file.path.name}: cloud is {cloud!r}; it must be one of {', '.join(clouds())}", WRONG_USE)
    return cloud


def _is_shared(key: str, prefix: str) -> bool:
    """Return whether a key belongs to the service, which both stacks share, or to the cloud's provider."""
    shared = ServiceSettings.key_names() | VerdictKeys.key_names() | DatabaseClientKeys.key_names()
    return not key.startswith(prefix) or key.removeprefix(prefix) in shared


def _has_deletion_protection(cloud: str, is_release_stack: bool = True) -> bool:
    """Return whether the cloud's release stacks, or its platforms, have the key ``deletionProtection``."""
    group = "ReleaseStackKeys" if is_release_stack else "PlatformKeys"
    keys = getattr(import_module(f"stacks.{cloud}"), group, None) if cloud in clouds() else None
    return keys is not None and "deletionProtection" in keys.key_names()


def _default_namespace() -> str:
    return str(StackSettings.model_fields["namespace"].default)


def _production_patterns() -> list[str]:
    """Return the name patterns of production stacks in the policies' config."""
    rules = cast(Mapping[str, Mapping[str, Any]], json.loads(POLICY.read_text(encoding="utf-8")))
    return list(rules["deletion-protection"]["stacks"])
