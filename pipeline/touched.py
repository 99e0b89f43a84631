"""What a change touches: the stacks that need a preview, and whether the image must be built."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

import yaml

from contract.settings import CanaryKeys, EventKeys, ReleaseSettings, ServiceSettings, VerdictKeys
from pipeline.errors import UsageError

#: Files of the program. Those of one cloud affect only its stacks.
PROGRAM = ("Pulumi.yaml", "__main__.py", "requirements.txt", "contract", "components", "stacks", "policy")
#: The stacks that CI works on.
IN_USE = Path(".github/stacks.yaml")
#: Names of the files that lock Python packages, and of their sources.
LOCKED = re.compile(r"requirements[\w-]*\.(in|txt)")
#: Base of the first push to a branch, in GitHub's events: there is nothing to compare with.
NOTHING = "0" * 40
#: Keys that leave the platform alone: those of the service and of its tracks.
_RELEASE_KEYS = frozenset[str]().union(
    *(group.key_names() for group in (ReleaseSettings, ServiceSettings, CanaryKeys, VerdictKeys, EventKeys))
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
class StacksInUse:
    """The stacks that CI works on, by name: ``staging`` gets each new image, and ``production`` is offered it.

    ``environments`` is the stack on whose platform pull requests get environments; "" for none.
    """

    staging: Sequence[str]
    production: Sequence[str]
    environments: str = ""


@dataclass(frozen=True)
class Touched:
    """What a change touches: the image's sources, dependencies, and stacks in use whose preview may differ.

    ``dependencies`` are locked Python packages, and the actions and tools of the workflows.

    ``staging`` and ``production`` are the stacks to update; a new image goes to all of staging. ``offered`` are those
    of production that are offered a new image. ``skipped`` are touched stacks that CI does not work on.
    """

    image: bool
    dependencies: bool
    stacks: tuple[Stack, ...]
    staging: tuple[Stack, ...] = ()
    production: tuple[Stack, ...] = ()
    offered: tuple[Stack, ...] = ()
    skipped: tuple[str, ...] = ()


def stacks_in_use(root: Path) -> StacksInUse:
    """Read the stacks that CI works on. Raises UsageError if the file is invalid or names a stack without a file."""
    try:
        document = cast(dict[str, object], yaml.safe_load((root / IN_USE).read_text(encoding="utf-8")) or {})
        groups = {name: _names(document.pop(name, None)) for name in ("staging", "production")}
        environments = str(document.pop("environments", None) or "")
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{IN_USE}: write `staging:` and `production:`, each with a list of stacks ({error})"
        ) from None
    if document:
        raise UsageError(
            f"{IN_USE}: unknown key `{next(iter(document))}`; write `staging`, `production`, `environments`"
        )
    for name in (*groups["staging"], *groups["production"], *([environments] if environments else [])):
        if not (root / f"Pulumi.{name}.yaml").is_file():
            raise UsageError(f"{IN_USE}: there is no Pulumi.{name}.yaml; remove `{name}` or create the stack")
    _refuse_production(environments, groups["production"], root)
    return StacksInUse(**groups, environments=environments)


def _refuse_production(environments: str, production: Sequence[str], root: Path) -> None:
    """Raise UsageError if environments, whose code nobody has reviewed, would get at a production platform."""
    config = _config((root / f"Pulumi.{environments}.yaml").read_text(encoding="utf-8")) if environments else {}
    platform = str(_value(config, "platformStack") or environments).rpartition("/")[2]
    if environments and {environments, platform} & set(production):
        raise UsageError(
            f"{IN_USE}: environments would run unreviewed code on the platform of `{platform}`, which is production;"
            " name a stack with a platform of its own"
        )


def environments(root: Path) -> Stack | None:
    """Return the stack on whose platform pull requests get environments; None if there is none. Raises UsageError."""
    name = stacks_in_use(root).environments
    return Stack(name, _clouds(root)[name], platform=False) if name else None


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
    result = _git(root, *command)
    if result.returncode:
        reason = result.stderr.strip().splitlines()[0].removeprefix("fatal: ").rstrip(".")
        raise UsageError(f"--base {base}: {reason}; fetch it with its whole history")
    return result.stdout.split("\0")[:-1]


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", check=False)


def touched(files: Iterable[str], root: Path, base: str = "", *, new_image: bool = False) -> Touched:
    """Return the stacks that these files affect; files of the shared program affect all.

    ``new_image``: the image is built anew even if no file of it has changed, such as on a new base image.
    Without ``base``, the commit to compare with, every changed stack file may have changed keys of its platform. Raises
    UsageError if the list of stacks in use is invalid.
    """
    clouds = _clouds(root)
    stacks: set[str] = set()
    platforms: set[str] = set()
    image, dependencies = new_image, False
    for file in files:
        parts = PurePosixPath(file).parts
        image = image or parts[0] == "app"
        dependencies = dependencies or parts[0] == ".github" or LOCKED.fullmatch(parts[-1]) is not None
        if parts[0].startswith("Pulumi.") and len(parts) == 1 and parts[0] != "Pulumi.yaml":
            changed = {parts[0].removeprefix("Pulumi.").removesuffix(".yaml")} & set(clouds)
            stacks |= changed
            platforms |= changed if _changes_platform(base, file, root) else set()
        elif parts[0] in PROGRAM:
            cloud = _cloud_of(parts, {*clouds.values(), "local"})
            changed = {stack for stack, its in clouds.items() if cloud in (None, its)}
            stacks |= changed
            platforms |= changed
    used = stacks_in_use(root)

    def chosen(names: Sequence[str], every: bool = False) -> tuple[Stack, ...]:
        return tuple(Stack(name, clouds[name], name in platforms) for name in names if every or name in stacks)

    return Touched(
        image,
        dependencies,
        stacks=chosen((*used.staging, *used.production)),
        staging=chosen(used.staging, every=image),
        production=chosen(used.production),
        offered=chosen(used.production, every=True) if image else (),
        skipped=tuple(sorted(stacks - {*used.staging, *used.production})),
    )


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
        clouds[file.name.removeprefix("Pulumi.").removesuffix(".yaml")] = str(_value(config, "cloud") or "")
    return clouds


def _value(config: Mapping[str, object], key: str) -> object:
    """Return a key of the project, with or without the project's name, which are the same to the engine."""
    return config.get(f"addressbook:{key}") or config.get(key)


def _config(text: str) -> dict[str, object]:
    """Return the config in a stack file's text."""
    document = cast(dict[str, dict[str, object] | None], yaml.safe_load(text) or {})
    return document.get("config") or {}
