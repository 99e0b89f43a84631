"""Copy the program and a stack's file for a rehearsal, without the keys that only production can use."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.project import CHECKOUT, CONFIG_PREFIX, IMAGE_KEYS, PROGRAM


def copy_program(target: Path) -> None:
    """Copy the program from the checkout; it runs in the lab's own virtual environment."""
    target.mkdir()
    for source in filter(Path.exists, (CHECKOUT / name for name in PROGRAM)):
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        else:
            shutil.copy(source, target / source.name)
    (target / ".venv").symlink_to(Path(sys.prefix))


@dataclass
class ConfigCopy:
    """A stack's config keys for a rehearsal."""

    values: dict[str, Any]
    changed: list[str] = field(default_factory=list[str])
    """How the copy differs, one sentence each."""
    secure: list[str] = field(default_factory=list[str])
    """Paths of encrypted values, which cannot be read here."""


def copy_config(config: Mapping[str, Any], overrides: Mapping[str, str | None], namespace: str) -> ConfigCopy:
    """Copy the keys, with the simulated cloud's `overrides` (None removes a key) and another namespace."""
    copy = ConfigCopy(dict(config))
    for key in IMAGE_KEYS:
        if copy.values.pop(CONFIG_PREFIX + key, None) not in (None, ""):
            copy.changed.append(f"{key} is removed: it belongs to images that the lab cannot pull")
    if copy.values.get(f"{CONFIG_PREFIX}buildFromSource") == "never":
        copy.values[f"{CONFIG_PREFIX}buildFromSource"] = "first"
        copy.changed.append("buildFromSource is first instead of never: the first update builds the image")
    for key, value in overrides.items():
        if value is not None:
            copy.values[key] = value
            copy.changed.append(f"{key} is {value} for the simulated cloud")
        elif copy.values.pop(key, None) is not None:
            copy.changed.append(f"{key} is removed: it belongs to a real account")
    copy.values[f"{CONFIG_PREFIX}namespace"] = namespace
    copy.changed.append(f"namespace is {namespace}, to keep the rehearsal apart from the lab's other stacks")
    for key, value in list(copy.values.items()):
        # The cloud's own secrets are logins; a rehearsal has its own.
        secure = copy.secure if key.startswith(CONFIG_PREFIX) else []
        copy.values[key] = _without_secrets(value, key.removeprefix(CONFIG_PREFIX), secure)
        if copy.values[key] is None:
            del copy.values[key]
    if copy.secure:
        copy.changed.append(f"encrypted values are replaced by made-up ones: {copy.secure}")
    return copy


def _without_secrets(value: Any, path: str, secure: list[str]) -> Any:
    """Return the value without its encrypted parts, and add their paths to `secure`."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        secure.append(path)
        return None
    if isinstance(value, dict):
        kept = {key: _without_secrets(inner, f"{path}.{key}", secure) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None} or None
    return value
