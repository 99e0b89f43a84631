"""One rehearsal: a copy of the program and of a stack, with its own state and a simulated cloud."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import environment, leftovers
from lab.errors import LabError
from lab.files import write
from lab.layout import Lab
from lab.lock import exclusive
from lab.plugins.account import Account
from lab.plugins.properties import UNKNOWN_SENTINELS
from lab.project import CHECKOUT, CONFIG_PREFIX, NAMESPACE_LENGTH, Target, stack_config
from lab.simulation import Simulation, clouds, of_cloud
from lab.stack_copy import copy_config, copy_program
from lab.toolchain import KUBERNETES

LAUNCHER = """\
#!/bin/sh
# Simulated for a rehearsal. Written by the lab.
PYTHONPATH='{checkout}' exec '{python}' -m {module} "$@"
"""


@dataclass
class Rehearsal:
    """One rehearsal. Everything it makes is in `folder`, the simulated account, and one namespace of the lab."""

    lab: Lab
    stack: str
    cloud: str
    folder: Path
    environment: dict[str, str]
    changed: list[str] = field(default_factory=list[str])
    """Changes in the copy of the stack file, one sentence each."""
    secure: list[str] = field(default_factory=list[str])
    """Paths of encrypted values, which cannot be read here."""
    login: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables of the login to the simulated account."""

    @property
    def simulation(self) -> Simulation:
        return of_cloud(self.cloud)

    @property
    def program(self) -> Path:
        return self.folder / "program"

    @property
    def namespace(self) -> str:
        return f"rehearsal-{self.stack}".lower().replace("_", "-").replace(".", "-")[:NAMESPACE_LENGTH].rstrip("-")

    @property
    def account(self) -> Account:
        return Account(self.lab, self.cloud)

    def pulumi(
        self, *arguments: str, check: bool = True, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run pulumi on the copy. Raises StepFailed with the end of its output."""
        result = self.run(
            "pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color=never", extra=extra
        )
        if check and result.returncode != 0:
            command = f"pulumi {' '.join(arguments)}"
            raise StepFailed(f"`{command}` ended with exit code {result.returncode}:\n{last_lines(result)}")
        return result

    def run(self, *command: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy."""
        return subprocess.run(
            command, cwd=self.program, env={**self.environment, **(extra or {})}, capture_output=True, text=True
        )

    def state(self) -> dict[str, Any]:
        """Return the stack's state, as the engine exports it."""
        return json.loads(self.pulumi("stack", "export").stdout)["deployment"]

    def config(self, key: str) -> str:
        """Return a config key of the copy, or its default."""
        entry = json.loads(self.pulumi("config", "--json").stdout).get(CONFIG_PREFIX + key, {})
        return str(entry.get("value", ""))

    def configure(self, key: str, value: str) -> None:
        """Set a config key of the copy."""
        self.pulumi("config", "set", key, value)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, with secrets hidden."""
        return json.loads(self.pulumi("stack", "output", "--json").stdout)

    def take_over(self, *existing: tuple[str, str]) -> None:
        """Import resources (type and ID of each) that the account has and the state does not."""
        steps = json.loads(self.pulumi("preview", "--json").stdout)["steps"]
        planned = [each for each in steps if each["op"] == "create"]
        table: dict[str, str] = {}
        resources = [_importable(self._planned(planned, kind, id), id, table) for kind, id in existing]
        file = self.folder / "import.json"
        write(file, json.dumps({"nameTable": table, "resources": resources}))
        self.pulumi("import", f"--file={file}", "--protect=false", "--yes", "--skip-preview", "--generate-code=false")

    def _planned(self, planned: list[dict[str, Any]], kind: str, id: str) -> dict[str, Any]:
        """Return the step that would create this existing resource. Raises StepFailed where that is ambiguous."""
        record = self.account.get(kind.rpartition(":")[2], id)
        steps = [each for each in planned if each["newState"]["type"] == kind]
        if record is not None:
            steps = [each for each in steps if could_be(each["newState"]["inputs"], record.inputs)]
        if len(steps) != 1:
            raise StepFailed(f"{len(steps)} planned resources of type {kind} match {id}, instead of exactly one")
        return steps[0]

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl on the lab's cluster."""
        binary = str(KUBERNETES.binaries(self.lab) / "kubectl")
        command = [binary, "--kubeconfig", str(self.lab.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def left(self) -> list[str]:
        """Return the rehearsal's leftovers: in the account, on this machine, in the cluster."""
        left = [f"{record.type} {record.id}" for record in self.account.records()]
        left += leftovers.leftovers(self.lab, self.cloud, self.simulation)
        if self.kubectl("get", "namespace", self.namespace).returncode == 0:
            left.append(f"Kubernetes namespace {self.namespace}")
        return left

    def clear(self) -> None:
        """Remove all leftovers, whatever their state."""
        self.simulation.clear(self.account)
        leftovers.remove(self.lab, self.cloud, self.simulation)
        shutil.rmtree(self.account.folder, ignore_errors=True)
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=120s")

    def close(self) -> None:
        """Remove the copy and its state."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_environment(self) -> Path:
        """Write a file for a shell to source, with which `pulumi` works on this rehearsal."""
        names = (
            "PATH",
            "DOCKER_HOST",
            "REGCTL_CONFIG",
            "KUBECONFIG",
            *(name for name in self.environment if name.startswith("PULUMI_")),
        )
        chosen = [*names, *self.login]
        lines = [f"export {name}={shlex.quote(self.environment[name])}" for name in chosen]
        write(self.folder / "environment", "\n".join(lines) + "\n", mode=0o600)
        return self.folder / "environment"


def _importable(step: dict[str, Any], id: str, table: dict[str, str]) -> dict[str, str]:
    """Return an entry of an import file, and add the URNs that it refers to to the file's name table."""
    state, name = step["newState"], step["urn"].rpartition("::")[2]
    entry = {"type": state["type"], "name": name, "id": id}
    provider = state.get("provider", "").rpartition("::")[0]  # without its ID
    explicit = bool(provider) and not provider.rpartition("::")[2].startswith("default")
    for option, urn in (("parent", state.get("parent")), ("provider", provider if explicit else None)):
        if urn:
            entry[option] = f"{option}-{len(table)}"
            table[entry[option]] = urn
    return entry


def could_be(planned: Mapping[str, Any], existing: Mapping[str, Any]) -> bool:
    """Return whether a resource's inputs match the planned ones, apart from defaults and unknown values."""
    defaults = {"__defaults", *planned.get("__defaults", [])}
    hidden = {*UNKNOWN_SENTINELS, "[secret]"}  # placeholders in a plan
    known = {key: value for key, value in planned.items() if not any(each in json.dumps(value) for each in hidden)}
    return all(value == existing.get(key) for key, value in known.items() if key not in defaults)


class StepFailed(Exception):
    """A step of the rehearsal failed; the message says what was observed."""


def simulated_cloud(stack: str) -> str:
    """Return the stack's cloud. Raises LabError if there is no such stack, or the lab cannot simulate it."""
    config = stack_config(stack)
    cloud = str(config.get(f"{CONFIG_PREFIX}cloud"))
    if cloud not in clouds():
        simulated = ", ".join(clouds())
        raise LabError(f"Stack {stack!r} is on cloud {cloud!r}, which the lab does not simulate. It has: {simulated}.")
    if platform := config.get(f"{CONFIG_PREFIX}platformStack"):
        platform = str(platform).rpartition("/")[2]
        raise LabError(
            f"Stack {stack!r} has no platform of its own: it uses that of stack {platform!r} (platformStack in "
            f"Pulumi.{stack}.yaml). Rehearse that one: python -m lab rehearse {platform}."
        )
    return cloud


def alone(lab: Lab, cloud: str, wait: bool = True) -> AbstractContextManager[None]:
    """Lock a simulated account for one rehearsal. Raises LabError if it is locked and `wait` is false."""
    return exclusive(lab.state / "clouds" / f"{cloud}.lock", f"a rehearsal on {cloud}", wait)


def prepare(lab: Lab, stack: str) -> Rehearsal:
    """Copy the program and the stack's file, and put the simulated cloud on PATH. Raises LabError."""
    cloud = simulated_cloud(stack)
    folder = lab.state / "rehearsals" / stack  # part of the lab's state, so `down` removes kept ones
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    rehearsal = Rehearsal(lab, stack, cloud, folder, {})
    copy_program(rehearsal.program)
    copy = copy_config(stack_config(stack), rehearsal.simulation.config, rehearsal.namespace)
    rehearsal.changed, rehearsal.secure = copy.changed, copy.secure
    file = rehearsal.program / f"Pulumi.{stack}.yaml"
    file.write_text(yaml.safe_dump({"config": copy.values}), encoding="utf-8")
    commands = folder / "bin"
    commands.mkdir()
    modules = {f"pulumi-resource-{cloud}": f"lab.plugins.{cloud}", **rehearsal.simulation.commands}
    for name, module in modules.items():
        (commands / name).write_text(LAUNCHER.format(checkout=CHECKOUT, python=sys.executable, module=module))
        (commands / name).chmod(0o755)
    rehearsal.login = rehearsal.simulation.login(folder)
    rehearsal.environment |= _environment(rehearsal, commands)
    return rehearsal


def _environment(rehearsal: Rehearsal, commands: Path) -> dict[str, str]:
    hidden = rehearsal.simulation.hidden
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == "PULUMI_HOME"
        or (name not in hidden and not name.startswith(("PULUMI_", "KUBECONFIG", "ADDRESSBOOK_LAB_FAULT")))
    }
    in_lab = environment.variables(rehearsal.lab, Target("local", in_lab=True))
    return {
        **inherited,
        "DOCKER_HOST": in_lab["DOCKER_HOST"],
        "REGCTL_CONFIG": in_lab["REGCTL_CONFIG"],
        "PATH": f"{commands}{os.pathsep}{in_lab['PATH']}",
        "KUBECONFIG": str(rehearsal.folder / "no-kubeconfig"),  # the cloud's own login leads to the cluster
        "PULUMI_BACKEND_URL": f"file://{rehearsal.folder}",
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **rehearsal.login,
    }


def last_lines(result: subprocess.CompletedProcess[str], count: int = 25) -> str:
    """Return the end of a command's output."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-count:])
