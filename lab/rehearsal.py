"""A rehearsal's stage: a copy of the program and of one stack, a state of its own, and its cloud played by the lab."""

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

from lab import environment, remains
from lab.errors import LabError
from lab.files import write
from lab.layout import CHECKOUT, Lab
from lab.lock import exclusive
from lab.plugins.account import Account
from lab.plugins.properties import UNKNOWN_SENTINELS
from lab.simulation import Simulation, clouds, of_cloud
from lab.stack_copy import PREFIX, copy_config, copy_program
from lab.stack_file import Target, stack_config
from lab.toolchain import KUBERNETES

NAMESPACE_LENGTH = 39  # as the config's own rule has it
LAUNCHER = """\
#!/bin/sh
# Simulation for a rehearsal. Written by the lab.
PYTHONPATH='{checkout}' exec '{python}' -m {module} "$@"
"""


@dataclass
class Rehearsal:
    """One rehearsal; everything of it is in ``folder``, the simulated account, and one namespace of the lab."""

    lab: Lab
    stack: str
    cloud: str
    folder: Path
    environment: dict[str, str]
    changed: list[str] = field(default_factory=list[str])
    """What differs in the copy of the stack file, in words."""
    secure: list[str] = field(default_factory=list[str])
    """Paths of secret values, which can't be read here."""
    login: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables that log in to the simulated account."""

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
        """Run pulumi on the copy. Raises Failed with the end of what it said."""
        done = self.run("pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color=never", extra=extra)
        if check and done.returncode != 0:
            raise Failed(f"`pulumi {' '.join(arguments)}` ended with exit code {done.returncode}:\n{end(done)}")
        return done

    def run(self, *command: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, as its users would."""
        return subprocess.run(
            command, cwd=self.program, env={**self.environment, **(extra or {})}, capture_output=True, text=True
        )

    def state(self) -> dict[str, Any]:
        """The stack's state, as the engine exports it."""
        return json.loads(self.pulumi("stack", "export").stdout)["deployment"]

    def config(self, key: str) -> str:
        """A config key of the copy, its default where it is not set."""
        found = json.loads(self.pulumi("config", "--json").stdout).get(PREFIX + key, {})
        return str(found.get("value", ""))

    def configure(self, key: str, value: str) -> None:
        """Set a config key of the copy."""
        self.pulumi("config", "set", key, value)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets hidden."""
        return json.loads(self.pulumi("stack", "output", "--json").stdout)

    def take_over(self, *found: tuple[str, str]) -> None:
        """Import what the account has and the state lacks (type and id of each), as resources still to be made."""
        steps = json.loads(self.pulumi("preview", "--json").stdout)["steps"]
        planned = [each for each in steps if each["op"] == "create"]
        table: dict[str, str] = {}
        resources = [_importable(self._planned(planned, kind, id), id, table) for kind, id in found]
        file = self.folder / "import.json"
        write(file, json.dumps({"nameTable": table, "resources": resources}))
        self.pulumi("import", f"--file={file}", "--protect=false", "--yes", "--skip-preview", "--generate-code=false")

    def _planned(self, planned: list[dict[str, Any]], kind: str, id: str) -> dict[str, Any]:
        """The step that would make what is there already. Raises Failed where it can't be told."""
        there = self.account.get(kind.rpartition(":")[2], id)
        wanted = [each for each in planned if each["newState"]["type"] == kind]
        if there is not None:
            wanted = [each for each in wanted if could_be(each["newState"]["inputs"], there.inputs)]
        if len(wanted) != 1:
            raise Failed(f"{len(wanted)} resources of type {kind} are to be made: which of them {id} is can't be told")
        return wanted[0]

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl on the lab's cluster."""
        binary = str(KUBERNETES.binaries(self.lab) / "kubectl")
        command = [binary, "--kubeconfig", str(self.lab.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def left(self) -> list[str]:
        """What of the rehearsal is there still: in the account, behind it on this machine, in the cluster."""
        found = [f"{record.type} {record.id}" for record in self.account.records()]
        found += remains.remains(self.lab, self.cloud, self.simulation)
        if self.kubectl("get", "namespace", self.namespace).returncode == 0:
            found.append(f"Kubernetes namespace {self.namespace}")
        return found

    def clear(self) -> None:
        """Remove all of it, whatever state it is in."""
        self.simulation.clear(self.account)
        remains.remove(self.lab, self.cloud, self.simulation)
        shutil.rmtree(self.account.folder, ignore_errors=True)
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=120s")

    def close(self) -> None:
        """Remove the copy and its state."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_environment(self) -> Path:
        """A file to be read by a shell, that makes `pulumi` mean this rehearsal."""
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
    """An entry of an import file; what it names by URN is put into the file's table."""
    state, name = step["newState"], step["urn"].rpartition("::")[2]
    entry = {"type": state["type"], "name": name, "id": id}
    provider = state.get("provider", "").rpartition("::")[0]  # the rest is its id
    explicit = bool(provider) and not provider.rpartition("::")[2].startswith("default")
    for option, urn in (("parent", state.get("parent")), ("provider", provider if explicit else None)):
        if urn:
            entry[option] = f"{option}-{len(table)}"
            table[entry[option]] = urn
    return entry


def could_be(planned: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Whether what is there was made with inputs that are still planned, as far as they are known and were chosen."""
    made_up = {"__defaults", *planned.get("__defaults", [])}
    hidden = {*UNKNOWN_SENTINELS, "[secret]"}  # as a plan shows what isn't known, or isn't to be
    known = {key: value for key, value in planned.items() if not any(each in json.dumps(value) for each in hidden)}
    return all(value == there.get(key) for key, value in known.items() if key not in made_up)


class Failed(Exception):
    """A step of the rehearsal did not end as it must; the message says what was seen."""


def simulated_cloud(stack: str) -> str:
    """The stack's cloud. Raises LabError where there is no such stack, or the lab can't play it."""
    config = stack_config(stack)
    cloud = str(config.get(f"{PREFIX}cloud"))
    if cloud not in clouds():
        simulated = ", ".join(clouds())
        raise LabError(f"Stack {stack!r} is on cloud {cloud!r}, which the lab does not simulate; it has: {simulated}.")
    if platform := config.get(f"{PREFIX}platformStack"):
        platform = str(platform).rpartition("/")[2]
        raise LabError(
            f"Stack {stack!r} has no platform of its own, it releases on that of stack {platform!r} (platformStack in"
            f" Pulumi.{stack}.yaml): rehearse that one, python -m lab rehearse {platform}."
        )
    return cloud


def alone(lab: Lab, cloud: str, wait: bool = True) -> AbstractContextManager[None]:
    """Be the only rehearsal in a simulated account. Raises LabError when there is one that is not to be waited for."""
    return exclusive(lab.state / "clouds" / f"{cloud}.lock", f"a rehearsal on {cloud}", wait)


def prepare(lab: Lab, stack: str) -> Rehearsal:
    """Copy the program and the stack's file, and put the simulated cloud on PATH. Raises LabError."""
    cloud = simulated_cloud(stack)
    folder = lab.state / "rehearsals" / stack  # of the lab, so that `down` removes one that was kept or killed
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
    of_lab = environment.variables(rehearsal.lab, Target("local", in_lab=True))
    return {
        **inherited,
        "DOCKER_HOST": of_lab["DOCKER_HOST"],
        "REGCTL_CONFIG": of_lab["REGCTL_CONFIG"],
        "PATH": f"{commands}{os.pathsep}{of_lab['PATH']}",
        "KUBECONFIG": str(rehearsal.folder / "no-kubeconfig"),  # the cluster is reached as the cloud's users reach it
        "PULUMI_BACKEND_URL": f"file://{rehearsal.folder}",
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **rehearsal.login,
    }


def end(done: subprocess.CompletedProcess[str], lines: int = 25) -> str:
    """The end of what a command said."""
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in said[-lines:])
