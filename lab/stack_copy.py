"""What a rehearsal takes of the checkout: the program, and a stack's file less what only production can use."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.layout import CHECKOUT

#: What `pulumi` and `python -m promotion` need.
PROGRAM = ("Pulumi.yaml", "__main__.py", "contract", "components", "stacks", "app", "promotion", "policy")
PREFIX = "addressbook:"
#: Keys that name images of the real registry, which the lab can't pull.
IMAGE_KEYS = ("stableImage", "canaryImage", "canaryReplicas", "canaryVerdict")


def copy_program(target: Path) -> None:
    """The program as it is in the checkout, with the environment that runs the lab."""
    target.mkdir()
    for name in PROGRAM:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        else:
            shutil.copy(source, target / name)
    (target / ".venv").symlink_to(Path(sys.prefix))


@dataclass
class ConfigCopy:
    """A stack's keys as the rehearsal has them; ``changed`` says in words what differs."""

    values: dict[str, Any]
    changed: list[str] = field(default_factory=list[str])
    secure: list[str] = field(default_factory=list[str])
    """Paths of secret values, which can't be read here."""


def copy_config(config: Mapping[str, Any], clouds_own: Mapping[str, str | None], namespace: str) -> ConfigCopy:
    """The keys, with those that the simulated cloud has otherwise (None: not at all) and another namespace."""
    copy = ConfigCopy(dict(config))
    for key in IMAGE_KEYS:
        if copy.values.pop(PREFIX + key, None) not in (None, ""):
            copy.changed.append(f"{key} is left out: the lab can't pull it, so the first update builds from source")
    if copy.values.pop(f"{PREFIX}databaseClientImage", None):
        copy.changed.append("databaseClientImage is left out: the lab can't pull it, and has the default")
    if copy.values.get(f"{PREFIX}buildFromSource") == "never":
        copy.values[f"{PREFIX}buildFromSource"] = "first"
        copy.changed.append("buildFromSource is first in place of never: there is nothing else to begin with")
    for key, value in clouds_own.items():
        if value is not None:
            copy.values[key] = value
            copy.changed.append(f"{key} is {value}, as the simulated cloud has it")
        elif copy.values.pop(key, None) is not None:
            copy.changed.append(f"{key} is left out: it is for a real account")
    copy.values[f"{PREFIX}namespace"] = namespace
    copy.changed.append(f"namespace is {namespace}, so that it meets nothing else in the lab")
    for key, value in list(copy.values.items()):
        # The cloud's own secrets log in to it, for which the rehearsal has another way.
        noted = copy.secure if key.startswith(PREFIX) else []
        copy.values[key] = _without_secrets(value, key.removeprefix(PREFIX), noted)
        if copy.values[key] is None:
            del copy.values[key]
    if copy.secure:
        copy.changed.append(f"secrets that only their owner can read have made-up values: {copy.secure}")
    return copy


def _without_secrets(value: Any, path: str, secure: list[str]) -> Any:
    """The value less what is encrypted, whose paths are noted."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        secure.append(path)
        return None
    if isinstance(value, dict):
        kept = {key: _without_secrets(inner, f"{path}.{key}", secure) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None} or None
    return value
