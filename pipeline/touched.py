"""What a change touches: which stacks are worth a preview, and whether the image is to be built."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

import yaml

from pipeline.faults import WrongUse

#: Parts of the program that every stack runs; a cloud's own files are told apart below.
PROGRAM = ("Pulumi.yaml", "__main__.py", "requirements.txt", "contract", "components", "stacks", "policy")
#: Cloud of stacks that no runner can reach.
UNREACHABLE = "local"


@dataclass(frozen=True)
class Stack:
    """A stack and its cloud, which says how a workflow logs in."""

    stack: str
    cloud: str


@dataclass(frozen=True)
class Touched:
    """Stacks whose preview may differ, and whether what goes into the image has changed."""

    stacks: tuple[Stack, ...]
    image: bool


def changed_files(base: str, root: Path) -> list[str]:
    """Paths that differ from where this branch left ``base``. Raises WrongUse when Git can't tell."""
    asked = subprocess.run(
        ["git", "-C", str(root), "diff", "--name-only", f"{base}...HEAD"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise WrongUse(f"--base {base}: {asked.stderr.strip().splitlines()[-1]} (fetch it, whole history included)")
    return asked.stdout.splitlines()


def touched(files: Iterable[str], root: Path) -> Touched:
    """Which stacks these files have a part in; all of them where the whole program is concerned."""
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
    """The one cloud that a file of the program is of; None where it is everybody's."""
    if parts[0] not in ("contract", "components", "stacks") or len(parts) < 2:
        return None
    name = PurePosixPath(parts[1]).stem
    return name if name in clouds else None


def _clouds(root: Path) -> dict[str, str]:
    """Stack -> cloud, of every stack file."""
    found: dict[str, str] = {}
    for file in sorted(root.glob("Pulumi.*.yaml")):
        document = cast(dict[str, dict[str, object] | None], yaml.safe_load(file.read_text(encoding="utf-8")) or {})
        config = document.get("config") or {}
        found[file.name.removeprefix("Pulumi.").removesuffix(".yaml")] = str(config.get("addressbook:cloud", ""))
    return found
