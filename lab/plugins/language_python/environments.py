"""Which Python runs a program, by the options in `Pulumi.yaml`, and what is installed for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

_RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|rc|c)[-_.]?(\d*))?(.*)")
_PHASES = {"a": "alpha", "alpha": "alpha", "b": "beta", "beta": "beta", "rc": "rc", "c": "rc"}


class EnvironmentProblem(Exception):
    """Why no Python can be run, in one sentence."""


@dataclass(frozen=True)
class Environment:
    """A Python interpreter, in a virtual environment or not."""

    python: str
    folder: Path | None = None
    """The virtual environment, if it is one."""

    @classmethod
    def of(cls, root: str, options: Mapping[str, Any], default: str = "") -> Environment:
        """By the runtime's options: `toolchain` (pip, uv) and `virtualenv`, relative to the project's folder.

        Without `virtualenv`: the folder `default` if it is one, else PULUMI_PYTHON_CMD, else python3 on PATH.
        """
        toolchain = str(options.get("toolchain") or "pip").lower()
        if toolchain not in ("pip", "uv"):
            raise EnvironmentProblem(
                f"this stand-in for Pulumi's Python language host has no toolchain {toolchain!r}: "
                "set runtime.options.virtualenv in Pulumi.yaml instead."
            )
        chosen = str(options.get("virtualenv") or (".venv" if toolchain == "uv" else ""))
        if chosen:
            folder = Path(root) / chosen
            if not _is_virtual(folder):
                what = "is no virtual environment" if folder.is_dir() else "doesn't exist"
                raise EnvironmentProblem(
                    f"the option virtualenv in Pulumi.yaml is {chosen!r}, but {folder} {what}: "
                    f"python3 -m venv {folder} && {folder}/bin/pip install -r requirements.txt"
                )
            return cls(str(folder / "bin" / "python"), folder)
        if default and _is_virtual(Path(root) / default):
            return cls(str(Path(root) / default / "bin" / "python"), Path(root) / default)
        return cls._ambient()

    @classmethod
    def _ambient(cls) -> Environment:
        wanted = os.environ.get("PULUMI_PYTHON_CMD")
        for name in [wanted] if wanted else ["python3", "python"]:
            if found := shutil.which(name):
                folder = Path(found).parent.parent
                return cls(found, folder if _is_virtual(folder) else None)
        raise EnvironmentProblem(f"there is no {wanted or 'python3'} on PATH: install Python 3.")

    def variables(self) -> dict[str, str]:
        """What the environment changes in a child's environment variables."""
        if self.folder is None:
            return {}
        path = os.pathsep.join([str(self.folder.absolute() / "bin"), os.environ.get("PATH", "")])
        return {"PATH": path, "VIRTUAL_ENV": str(self.folder.absolute())}

    def site_packages(self) -> list[str]:
        """The folders its packages are in; its interpreter is only asked where nothing else knows."""
        if self.folder is not None:
            found = sorted(self.folder.glob("lib/python3*/site-packages"))
            shares = "include-system-site-packages = true" in (self.folder / "pyvenv.cfg").read_text().lower()
            if found and not shares:
                return [str(path) for path in found]
        if Path(self.python).resolve() == Path(sys.executable).resolve() and self.folder == _own_folder():
            return sys.path
        asked = subprocess.run(
            [self.python, "-c", "import json, sys; print(json.dumps(sys.path))"],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(asked.stdout)


def _own_folder() -> Path | None:
    return Path(sys.prefix) if sys.prefix != sys.base_prefix else None


def _is_virtual(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file() and (folder / "bin" / "python").exists()


@dataclass(frozen=True)
class RequiredPackage:
    """A provider that an installed SDK needs: what its `pulumi-plugin.json` says."""

    name: str
    version: str
    server: str
    parameterization: Mapping[str, Any] | None
    extension: Mapping[str, Any] | None


def required_packages(environment: Environment) -> list[RequiredPackage]:
    """The providers that the installed SDKs need, by their `pulumi-plugin.json`; no `pip list` runs."""
    found: dict[str, RequiredPackage] = {}
    paths = environment.site_packages()
    for file in _plugin_files(paths):
        plugin: dict[str, Any] = json.loads(file.read_text())
        if not plugin.get("resource"):
            continue
        distribution = file.parent.name.replace("_", "-")
        name = plugin.get("name") or distribution.removeprefix("pulumi-")
        version = plugin.get("version") or _installed_version(distribution, paths)
        found.setdefault(
            name,
            RequiredPackage(
                name,
                semantic_version(version),
                plugin.get("server") or "",
                plugin.get("parameterization"),
                plugin.get("extensionParameterization"),
            ),
        )
    return sorted(found.values(), key=lambda package: package.name)


def _plugin_files(paths: list[str]) -> Iterator[Path]:
    for folder in [Path(path) for path in paths if Path(path).is_dir()]:
        yield from folder.glob("*/pulumi-plugin.json")
        # Packages installed in place (`pip install -e`, `pulumi package add`) are named in .pth files.
        for link in folder.glob("*.pth"):
            for line in link.read_text(errors="replace").splitlines():
                if line and not line.startswith(("import", "#")) and Path(line).is_dir():
                    yield from Path(line).glob("*/pulumi-plugin.json")


def _installed_version(distribution: str, paths: list[str]) -> str:
    found = list(metadata.distributions(name=distribution, path=paths))
    return found[0].version if found else "0.0.0"


def semantic_version(version: str) -> str:
    """A package's version as Pulumi writes a plugin's: `1.2.3rc4` is `v1.2.3-rc.4`, `1.0` is `v1.0.0`."""
    match = _RELEASE.fullmatch(version)
    if match is None:
        return version
    numbers, phase, count, rest = match.groups()
    release = ".".join([*numbers.split("."), "0", "0"][: max(3, numbers.count(".") + 1)])
    before = f"-{_PHASES[phase]}.{count or 0}" if phase else ""
    # `.post1.dev2` is build metadata there; anything else is a semantic version already.
    after = "+" + rest.removeprefix(".").replace(".", "") if rest.startswith((".post", ".dev")) else rest
    return f"v{release}{before}{after}"


def installed(environment: Environment, transitive: bool) -> list[tuple[str, str]]:
    """Names and versions of what is installed; without `transitive` only what nothing else there requires."""
    distributions = {
        _normalised(each.metadata["Name"]): each for each in metadata.distributions(path=environment.site_packages())
    }
    required = {
        _normalised(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
        for each in distributions.values()
        for requirement in each.requires or []
        if "extra ==" not in requirement
    }
    return sorted(
        (each.metadata["Name"], each.version)
        for name, each in distributions.items()
        if transitive or name not in required
    )


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
