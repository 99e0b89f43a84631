"""The project's root folder, its clouds, and the config keys that ``Pulumi.yaml`` declares."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def clouds() -> list[str]:
    """Return the clouds that the program supports: each has a file in ``stacks/`` and a folder in ``components/``."""
    files = sorted((PROJECT_ROOT / "stacks").glob("*.py"))
    return [file.stem for file in files if (PROJECT_ROOT / "components" / file.stem).is_dir()]


def declared_keys() -> set[str]:
    """Return the config keys that ``Pulumi.yaml`` declares."""
    return {"cloud", *declared_defaults()}


@cache
def declared_defaults() -> dict[str, str]:
    """Return each key's default as the engine passes it to the program: the value that means "unset"."""
    project: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())
    defaults = {key: row["default"] for key, row in project["config"].items() if "default" in row}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in defaults.items()}
