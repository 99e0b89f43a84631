"""The Python that runs a program: a virtual environment, and the SDKs installed in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any


class EnvironmentProblem(Exception):
    """No Python can run the program."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @classmethod
    def of(cls, root: str, options: Mapping[str, Any]) -> Environment:
        """Find the option `virtualenv` of Pulumi.yaml, relative to the project's folder. Raises EnvironmentProblem."""
        if options.get("toolchain", "pip") != "pip" or not options.get("virtualenv"):
            raise EnvironmentProblem(
                "The lab's stand-in for the Python language host needs toolchain pip and a virtual environment: "
                "set runtime.options.virtualenv in Pulumi.yaml."
            )
        environment = cls(Path(root) / options["virtualenv"])
        if not (environment.folder / "pyvenv.cfg").is_file() or not Path(environment.python).exists():
            problem = "is not a virtual environment" if environment.folder.is_dir() else "does not exist"
            raise EnvironmentProblem(
                f"The virtualenv of Pulumi.yaml, {environment.folder}, {problem}. Create it: "
                f"python3 -m venv {environment.folder} && {environment.python} -m pip install -r requirements.txt"
            )
        return environment

    @property
    def python(self) -> str:
        """The interpreter's path."""
        return str(self.folder / "bin" / "python")

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables of a child process: this process's, these ones, and the environment's."""
        folder = self.folder.absolute()
        path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", "")])
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
        return {**inherited, **more, "PATH": path, "VIRTUAL_ENV": str(folder)}

    def _site_packages(self) -> list[Path]:
        return sorted(self.folder.glob("lib/python3*/site-packages"))

    def required_plugins(self) -> list[tuple[str, str]]:
        """Return names and versions of the plugins that the SDKs need, as their `pulumi-plugin.json` says."""
        files = [file for folder in self._site_packages() for file in folder.glob("*/pulumi-plugin.json")]
        plugins: list[dict[str, Any]] = [json.loads(file.read_text()) for file in files]
        return sorted((each["name"], f"v{each['version']}") for each in plugins if each.get("resource"))

    def distributions(self) -> list[tuple[str, str]]:
        """Return names and versions of the installed packages."""
        found = metadata.distributions(path=[str(folder) for folder in self._site_packages()])
        return sorted((each.metadata["Name"], each.version) for each in found)
