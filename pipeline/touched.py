"""What a change touches: the stacks that need a preview, and whether the image must be built."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

import yaml

from contract.settings import CanaryKeys, ReleaseSettings, ServiceSettings, VerdictKeys
from pipeline.errors import UsageError

#: Files of the program. Those of one cloud affect only its stacks.
PROGRAM = ("Pulumi.yaml", "__main__.py", "requirements.txt", "contract", "components", "stacks", "policy")
#: Cloud of stacks that CI runners cannot reach.
UNREACHABLE = "local"
#: Keys that leave the platform alone: those of the service and of its tracks.
_RELEASE_KEYS = frozenset[str]().union(
    *(group.key_names() for group in (ReleaseSettings, ServiceSettings, CanaryKeys, VerdictKeys))
)


@dataclass(frozen=True)
class Stack:
    """A stack, its cloud, which decides how a workflow logs in, and whether the change may reach its platform.

    A change of the platform takes hours where one of the release takes minutes, and needs other rights.
    """

    stack: str
    cloud: str
    platform: bool


@dataclass(frozen=True)
class Touched:
    """Stacks whose preview may differ, and whether the image's sources have changed."""

    stacks: tuple[Stack, ...]
    image: bool


def changed_files(base: str, root: Path) -> list[str]:
    """Return the paths that changed since this branch left ``base``. Raises UsageError if Git cannot compare them."""
    result = _git(root, "diff", "--name-only", "-z", "--no-ext-diff", f"{base}...HEAD")
    if result.returncode:
        reason = result.stderr.strip().splitlines()[0].removeprefix("fatal: ").rstrip(".")
        raise UsageError(f"--base {base}: {reason}; fetch it with its whole history")
    return result.stdout.split("\0")[:-1]


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", check=False)


def touched(files: Iterable[str], root: Path, base: str = "") -> Touched:
    """Return the stacks that these files affect; files of the shared program affect all.

    Without ``base``, the commit to compare with, every changed stack file may have changed keys of its platform.
    """
    clouds = {stack: cloud for stack, cloud in _clouds(root).items() if cloud != UNREACHABLE}
    stacks: set[str] = set()
    platforms: set[str] = set()
    image = False
    for file in files:
        parts = PurePosixPath(file).parts
        image = image or parts[0] == "app"
        if parts[0].startswith("Pulumi.") and len(parts) == 1 and parts[0] != "Pulumi.yaml":
            changed = {parts[0].removeprefix("Pulumi.").removesuffix(".yaml")} & set(clouds)
            stacks |= changed
            platforms |= changed if _changes_platform(base, file, root) else set()
        elif parts[0] in PROGRAM:
            cloud = _cloud_of(parts, set(clouds.values()) | {UNREACHABLE})
            changed = {stack for stack, its in clouds.items() if cloud in (None, its)}
            stacks |= changed
            platforms |= changed
    return Touched(tuple(Stack(name, clouds[name], name in platforms) for name in sorted(stacks)), image)


def _changes_platform(base: str, file: str, root: Path) -> bool:
    """Return whether a stack file has other keys than the release's that differ from the base's."""
    before = _config(_git(root, "show", f"{base}:{file}").stdout) if base else {}
    path = root / file
    after = _config(path.read_text(encoding="utf-8")) if path.is_file() else {}
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return bool({key.rpartition(":")[2] for key in differing} - _RELEASE_KEYS)


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
        config = _config(file.read_text(encoding="utf-8"))
        cloud = config.get("addressbook:cloud") or config.get("cloud")  # the same key to the engine
        clouds[file.name.removeprefix("Pulumi.").removesuffix(".yaml")] = str(cloud or "")
    return clouds


def _config(text: str) -> dict[str, object]:
    """Return the config in a stack file's text."""
    document = cast(dict[str, dict[str, object] | None], yaml.safe_load(text) or {})
    return document.get("config") or {}
