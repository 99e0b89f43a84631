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
#: The stacks that CI works on.
IN_USE = Path(".github/stacks.yaml")
#: Base of the first push to a branch, in GitHub's events: there is nothing to compare with.
NOTHING = "0" * 40


@dataclass(frozen=True)
class Stack:
    """A stack and its cloud, which decides how a workflow logs in."""

    stack: str
    cloud: str


@dataclass(frozen=True)
class Touched:
    """Stacks in use whose preview may differ, and whether the image's sources have changed.

    ``skipped`` are stacks that would be affected, but that CI does not work on.
    """

    stacks: tuple[Stack, ...]
    image: bool
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class StacksInUse:
    """The stacks that CI works on: ``staging`` gets each new image, and ``production`` is offered it."""

    staging: tuple[Stack, ...]
    production: tuple[Stack, ...]

    @property
    def all(self) -> tuple[Stack, ...]:
        """Staging and production."""
        return (*self.staging, *self.production)


def stacks_in_use(root: Path) -> StacksInUse:
    """Read the stacks that CI works on. Raises UsageError if the file is invalid or names a stack without a file."""
    try:
        document = cast(dict[str, object], yaml.safe_load((root / IN_USE).read_text(encoding="utf-8")) or {})
        groups = {name: _names(document.pop(name, None)) for name in ("staging", "production")}
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{IN_USE}: write `staging:` and `production:`, each with a list of stacks ({error})"
        ) from None
    if document:
        raise UsageError(f"{IN_USE}: unknown key `{next(iter(document))}`; write `staging` and `production`")
    clouds = _clouds(root)
    for name in (*groups["staging"], *groups["production"]):
        if name not in clouds:
            raise UsageError(f"{IN_USE}: there is no Pulumi.{name}.yaml; remove `{name}` or create the stack")
    return StacksInUse(*(tuple(Stack(name, clouds[name]) for name in group) for group in groups.values()))


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError("no list")
    return tuple(map(str, cast(list[object], value)))


def changed_files(base: str, root: Path) -> list[str]:
    """Return the paths that changed since this branch left ``base``, or all after the first push of a branch.

    Raises UsageError if Git cannot compare them.
    """
    first = base == NOTHING
    command = ["ls-files", "-z"] if first else ["diff", "--name-only", "-z", "--no-ext-diff", f"{base}...HEAD"]
    result = subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, errors="surrogateescape", check=False
    )
    if result.returncode:
        reason = result.stderr.strip().splitlines()[0].removeprefix("fatal: ").rstrip(".")
        raise UsageError(f"--base {base}: {reason}; fetch it with its whole history")
    return result.stdout.split("\0")[:-1]


def touched(files: Iterable[str], root: Path) -> Touched:
    """Return the stacks that these files affect; files of the shared program affect all.

    Raises UsageError if the list of stacks in use is invalid.
    """
    clouds = _clouds(root)
    stacks: set[str] = set()
    image = False
    for file in files:
        parts = PurePosixPath(file).parts
        image = image or parts[0] == "app"
        if parts[0].startswith("Pulumi.") and len(parts) == 1 and parts[0] != "Pulumi.yaml":
            stacks |= {parts[0].removeprefix("Pulumi.").removesuffix(".yaml")} & set(clouds)
        elif parts[0] in PROGRAM:
            cloud = _cloud_of(parts, {*clouds.values(), "local"})
            stacks |= {stack for stack, its in clouds.items() if cloud in (None, its)}
    used = stacks_in_use(root).all
    names = {each.stack for each in used}
    return Touched(tuple(each for each in used if each.stack in stacks), image, tuple(sorted(stacks - names)))


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
