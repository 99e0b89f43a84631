"""A copy of the program with a stack of its own, driven by the real Pulumi engine."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
#: What a stack needs from the checkout. The stacks' own files are not copied.
FILES = ("Pulumi.yaml", "pyproject.toml", "__main__.py")
FOLDERS = ("contract", "components", "stacks", "promotion", "policy", "app")
PASSPHRASE = "temporary"


@dataclass
class Project:
    """A copy of the program with a stack, a state backend and a passphrase of its own."""

    folder: Path
    stack: str
    environment: dict[str, str]

    @property
    def stack_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def run(self, *command: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder; fail the test if the command fails."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if check:
            assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
        return done

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", *arguments, "--stack", self.stack, "--non-interactive", check=check)

    def up(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, check=check)

    def configure(self, **config: object) -> None:
        """Write config keys to the stack file, where users edit them too; None removes the key."""
        document = yaml.safe_load(self.stack_file.read_text()) or {}
        keys = document.setdefault("config", {})
        for key, value in config.items():
            keys.pop(f"addressbook:{key}", None)
            if value is not None:
                keys[f"addressbook:{key}"] = value
        self.stack_file.write_text(yaml.safe_dump(document))

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.pulumi("stack", "output", "--json").stdout)

    def state(self) -> dict[str, Any]:
        return json.loads(self.pulumi("stack", "export").stdout)["deployment"]

    def preview_steps(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Return a preview's changing steps by resource name."""
        preview = json.loads(self.pulumi("preview", "--json", *arguments).stdout)
        return {
            step["urn"].rpartition("::")[2]: step
            for step in preview.get("steps", [])
            if step["op"] not in ("same", "read")
        }

    def kubectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("kubectl", "--context", "addressbook-lab", *arguments, check=check)

    def delete_namespaces(self, *names: str) -> None:
        """Delete these namespaces. Fixtures do so before use, too: a killed run may have left them in the lab."""
        self.kubectl("delete", "namespace", *names, "--ignore-not-found", check=False)

    def objects(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        chosen = ["-l", selector] if selector else []
        return json.loads(self.kubectl("get", kind, "-n", namespace, "-o", "json", *chosen).stdout)["items"]


def copy_program(folder: Path, stack: str, environment: Mapping[str, str], config: Mapping[str, Any]) -> Project:
    """Copy the program into ``folder``, write the stack's file and create the stack."""
    program, state = folder / "program", folder / "state"
    program.mkdir()
    state.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, program)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, program / name, ignore=shutil.ignore_patterns(".pytest_cache"))
    (program / ".venv").symlink_to(ROOT / ".venv")
    project = Project(
        program,
        stack,
        {
            **environment,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_CONFIG_PASSPHRASE_FILE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        },
    )
    project.stack_file.write_text(yaml.safe_dump({"config": {f"addressbook:{k}": v for k, v in config.items()}}))
    project.run("pulumi", "stack", "init", stack, "--non-interactive")
    return project
