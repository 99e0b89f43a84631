"""What a change touches: the stacks that need a preview, and whether the image must be built."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

import yaml

from pipeline.errors import UsageError

#: Files of the program. Those of one cloud affect only its stacks.
PROGRAM = ("Pulumi.yaml", "__main__.py", "requirements.txt", "contract", "components", "stacks", "policy")
#: Cloud of stacks that CI runners cannot reach.
UNREACHABLE = "local"


@dataclass(frozen=True)
class Stack:
    """A stack and its cloud, which decides how a workflow logs in."""

    stack: str
    cloud: str


@dataclass(frozen=True)
class Touched:
    """Stacks whose preview may differ, and whether the image's sources have changed."""

    stacks: tuple[Stack, ...]
    image: bool


def changed_files(base: str, root: Path) -> list[str]:
    """Return the paths that changed since this branch left ``base``. Raises UsageError if Git cannot compare them."""
    result = subprocess.run(
        ["git", "-C", str(root), "diff", "--name-only", "-z", "--no-ext-diff", f"{base}...HEAD"],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if result.returncode:
        reason = result.stderr.strip().splitlines()[0].removeprefix("fatal: ").rstrip(".")
        raise UsageError(f"--base {base}: {reason}; fetch it with its whole history")
    return result.stdout.split("\0")[:-1]


def touched(files: Iterable[str], root: Path) -> Touched:
    """Return the stacks that these files affect; files of the shared program affect all."""
    clouds = {stack: cloud for stack, cloud in _clouds(root).items() if cloud != UNREACHABLE}
    stacks: set[str] = set()
    image = False
    for file in files:
        parts = PurePosixPath(file).parts
        image = image or parts[0] == "app"
        if parts[0].startswith("Pulumi.") and len(parts) == 1 and parts[0] != "Pulumi.yaml":
            stacks |= {parts[0].removeprefix("Pulumi.").removesuffix(".yaml")} & set(clouds)
        elif parts[0] in PROGRAM:
            cloud = _cloud_of(parts, set(clouds.values()) | {UNREACHABLE})
            stacks |= {stack for stack, its in clouds.items() if cloud in (None, its)}
    return Touched(tuple(Stack(name, clouds[name]) for name in sorted(stacks)), image)


def _cloud_of(parts: tuple[str, ...], clouds: set[str]) -> str | None:
    """Return the cloud that a program file belongs to; None if all clouds share it."""
    if parts[0] not in ("contract", "components", "stacks") or len(parts) < 2:
        return None
    name = PurePosixPath(parts[1]).stem
    return name if name in clouds else None


def _clouds(root: Path) -> dict[str, str]:
    """Return each stack's cloud, by stack."""
    clouds: dict[str, str] = {}
    for file in sorted(root.glob("Pulumi.*.yaml")):
        document = cast(dict[str, dict[str, object] | None], yaml.safe_load(file.read_text(encoding="utf-8")) or {})
        config = document.get("config") or {}
        cloud = config.get("addressbook:cloud") or config.get("cloud")  # the same key to the engine
        clouds[file.name.removeprefix("Pulumi.").removesuffix(".yaml")] = str(cloud or "")
    return clouds
