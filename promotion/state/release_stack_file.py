"""A release stack on a platform that is there already: what its stack file says, and what it may be called."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import yaml

from contract.image import Image
from contract.project import PROJECT_ROOT, clouds
from contract.settings import DNS_LABEL, DatabaseClientKeys, ServiceSettings, StackSettings
from promotion.errors import WRONG_USE, CommandError
from promotion.state.stack_file import StackFile

#: Name of a stack (Pulumi documentation, Stacks), less those that other commands would take for an option.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
#: Most characters of a namespace, as `contract/settings.py` has it.
NAMESPACE_LENGTH = 39
#: Hex digits that tell names apart which Kubernetes would not: `Feature_X` and `feature-x`.
DIGEST_DIGITS = 6
#: Keys of a stack file beside `config`: with what the values of its secrets are encrypted.
ENCRYPTION = ("secretsprovider", "encryptedkey", "encryptionsalt")
POLICY = PROJECT_ROOT / "policy" / "policy-config.json"


@dataclass(frozen=True)
class ReleaseStack:
    """A release stack that is to be.

    ``left_out`` names the keys whose secret values only the other stack can decrypt.
    """

    name: str
    platform: str
    namespace: str
    text: str
    secrets_provider: str | None
    left_out: tuple[str, ...]


def described(name: str, like: StackFile, image: str = "") -> ReleaseStack:
    """The stack file of a release stack on the platform of the stack ``like``, or on the one that that is on itself.

    The service is the other stack's, with its secrets under the same key. The release begins anew: one pod, of
    ``image`` or built from source. Raises CommandError.
    """
    document = cast(dict[str, Any], yaml.safe_load(like.text()) or {})
    config = cast(dict[str, Any], document.get("config") or {})
    other = like.path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    cloud = _cloud(like, config)
    platform = str(config.get(f"{like.prefix}platformStack") or other)
    encryption = {key: document[key] for key in ENCRYPTION if key in document}
    chosen = {key: value for key, value in config.items() if _shared(key, like.prefix)}
    left_out = tuple(key for key, value in chosen.items() if not encryption and _secret(value))
    namespace = namespace_of(name, str(config.get(f"{like.prefix}namespace") or _default_namespace()))
    own = {
        "cloud": cloud,
        "platformStack": platform,
        "namespace": namespace,
        **({"deletionProtection": "false"} if _protects(cloud) else {}),
        **({"stableImage": image} if image else {}),
        "stableReplicas": "1",
    }
    written = {f"{like.prefix}{key}": value for key, value in own.items()}
    written |= {key: value for key, value in chosen.items() if key not in left_out}
    heading = (
        f"# A release stack on the platform of stack `{platform}`, written by `python -m promotion stack`;\n"
        f"# `python -m promotion unstack --name {name}` takes it away with its namespace, its database and this file.\n"
    )
    text = heading + yaml.safe_dump({"config": written, **encryption}, sort_keys=False, width=1000)
    return ReleaseStack(name, platform, namespace, text, encryption.get("secretsprovider"), left_out)


def namespace_of(name: str, platform: str) -> str:
    """Namespace of the release stack ``name``: the platform's, and the name as Kubernetes takes it.

    Whatever that changes or cuts off, two names never get the same: a digest of the name then ends it.
    """
    plain = f"{platform}-{name}"
    label = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if label == plain and re.match(DNS_LABEL, plain):
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{label[: NAMESPACE_LENGTH - DIGEST_DIGITS - 1].rstrip('-')}-{digest}"


def refuse_name(name: str, folder: Path = PROJECT_ROOT) -> None:
    """Raises CommandError when a release stack can't be called that, as far as this checkout knows."""
    if not NAME.fullmatch(name):
        raise CommandError(
            f"--name {name!r}: a stack's name is 1 to 100 letters, digits, dots, dashes and underscores, and begins"
            " with a letter or a digit, as in feature-x",
            WRONG_USE,
        )
    if pattern := next((each for each in _production() if fnmatchcase(name, each)), None):
        raise CommandError(
            f"--name {name}: the policies take `{pattern}` for production, and this is to be thrown away; name it"
            " otherwise",
            WRONG_USE,
        )
    if (folder / f"Pulumi.{name}.yaml").exists():
        raise CommandError(
            f"--name {name}: there is a Pulumi.{name}.yaml already; name it otherwise, or bring that one up with"
            f" `python -m promotion up --stack {name}`",
            WRONG_USE,
        )


def refuse_image(image: str) -> None:
    """Raises CommandError when that names no image by digest."""
    if image and not Image.parse(image):
        raise CommandError(f"--image {image}: write REPOSITORY@sha256:DIGEST (a tag can move)", WRONG_USE)


def refuse_lasting(name: str, file: StackFile) -> None:
    """Raises CommandError when the stack is no release stack, or one that is not to be thrown away."""
    values = file.values()
    if not values.get("platformStack"):
        raise CommandError(
            f"stack `{name}` is no release stack: it has a platform of its own, that others may be on;"
            f" `python -m promotion down --stack {name}` destroys it",
            WRONG_USE,
        )
    if _protects(values.get("cloud", "")) and values.get("deletionProtection") != "false":
        raise CommandError(
            f"stack `{name}` is protected from deletion: set deletionProtection to false in {file.path.name} and bring"
            f" it up (`python -m promotion up --stack {name}`) first",
            WRONG_USE,
        )


def _cloud(file: StackFile, config: Mapping[str, Any]) -> str:
    cloud = str(config.get(f"{file.prefix}cloud") or "")
    if cloud not in clouds():
        raise CommandError(f"{file.path.name}: cloud is {cloud!r}, and there is only {', '.join(clouds())}", WRONG_USE)
    return cloud


def _shared(key: str, prefix: str) -> bool:
    """Whether a key says of the service what is right on another stack too, or is the cloud provider's own."""
    shared = ServiceSettings.key_names() | DatabaseClientKeys.key_names()
    return not key.startswith(prefix) or key.removeprefix(prefix) in shared


def _secret(value: object) -> bool:
    """Whether there is an encrypted value in it (``secure``, as the engine writes it)."""
    if isinstance(value, Mapping):
        found = cast(Mapping[str, object], value)
        return "secure" in found or any(_secret(each) for each in found.values())
    return isinstance(value, list) and any(_secret(each) for each in cast(list[object], value))


def _protects(cloud: str) -> bool:
    """Whether the cloud's release stacks know deletion protection."""
    keys = getattr(import_module(f"stacks.{cloud}"), "ReleaseStackKeys", None) if cloud in clouds() else None
    return keys is not None and "deletionProtection" in keys.key_names()


def _default_namespace() -> str:
    return str(StackSettings.model_fields["namespace"].default)


def _production() -> list[str]:
    """Patterns of the names by which the policies know production."""
    rules = cast(Mapping[str, Mapping[str, Any]], json.loads(POLICY.read_text(encoding="utf-8")))
    return list(rules["deletion-protection"]["stacks"])
