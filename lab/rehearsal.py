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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import environment
from lab.errors import LabError
from lab.files import write
from lab.layout import CHECKOUT, Lab
from lab.plugins.account import Account
from lab.plugins.postgres import Server
from lab.toolchain import KUBERNETES

PROGRAM = ("Pulumi.yaml", "__main__.py", "components", "stacks", "app")
#: Keys that name images of the real registry, which the lab can't pull: what is rehearsed is built from source.
IMAGE_KEYS = ("stableImage", "canaryImage", "canaryReplicas", "canaryVerdict")
PREFIX = "addressbook:"
NAMESPACE_LENGTH = 39  # as the config's own rule has it
LAUNCHER = """\
#!/bin/sh
# Simulation for a rehearsal. Written by the lab.
PYTHONPATH='{checkout}' exec '{python}' -m {module} "$@"
"""


@dataclass(frozen=True)
class Simulation:
    """How the lab plays a cloud: ``commands`` (name to Python module) beside the plugin, and the login it takes.

    ``hidden``: environment variables that could reach a real account, kept from everything in the rehearsal.
    """

    commands: Mapping[str, str]
    login: Mapping[str, str]
    hidden: tuple[str, ...]


SIMULATIONS = {
    "digitalocean": Simulation(
        commands={"doctl": "lab.plugins.digitalocean.doctl"},
        login={"DIGITALOCEAN_ACCESS_TOKEN": "of-the-simulated-account"},
        hidden=("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_API_URL", "DIGITALOCEAN_CONTEXT"),
    ),
}


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
        command = ["pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color=never"]
        done = subprocess.run(
            command, cwd=self.program, env={**self.environment, **(extra or {})}, capture_output=True, text=True
        )
        if check and done.returncode != 0:
            raise Failed(f"`pulumi {' '.join(arguments)}` ended with exit code {done.returncode}:\n{_end(done)}")
        return done

    def configure(self, key: str, value: str) -> None:
        """Set a config key of the copy."""
        self.pulumi("config", "set", key, value)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets hidden."""
        return json.loads(self.pulumi("stack", "output", "--json").stdout)

    def take_over(self, kind: str, id: str) -> None:
        """Import what the account has and the state lacks, as the resource of that type that is still to be made."""
        planned = json.loads(self.pulumi("preview", "--json").stdout)["steps"]
        wanted = [each for each in planned if each["op"] == "create" and each["newState"]["type"] == kind]
        if len(wanted) != 1:
            raise Failed(f"{len(wanted)} resources of type {kind} are to be made: which of them {id} is can't be told")
        name, parent = wanted[0]["urn"].rpartition("::")[2], wanted[0]["newState"]["parent"]
        options = ("--yes", "--skip-preview", "--generate-code=false", "--protect=false")
        self.pulumi("import", kind, name, id, f"--parent=parent={parent}", *options)

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl on the lab's cluster."""
        binary = str(KUBERNETES.binaries(self.lab) / "kubectl")
        command = [binary, "--kubeconfig", str(self.lab.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def left(self) -> list[str]:
        """What of the rehearsal is there still, in the account and in the cluster."""
        found = [f"{record.type} {record.id}" for record in self.account.records()]
        if self.kubectl("get", "namespace", self.namespace).returncode == 0:
            found.append(f"Kubernetes namespace {self.namespace}")
        return found

    def clear(self) -> None:
        """Remove all of it, whatever state it is in."""
        for record in self.account.records():
            if record.type == "DatabaseCluster":
                Server(self.lab, self.account.folder / f"database-{record.id}", record.outputs.get("port", 0)).destroy()
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
            "KUBECONFIG",
            *(name for name in self.environment if name.startswith("PULUMI_")),
        )
        chosen = [*names, *SIMULATIONS[self.cloud].login]
        lines = [f"export {name}={shlex.quote(self.environment[name])}" for name in chosen]
        write(self.folder / "environment", "\n".join(lines) + "\n", mode=0o600)
        return self.folder / "environment"


class Failed(Exception):
    """A step of the rehearsal did not end as it must; the message says what was seen."""


def simulated_cloud(stack: str) -> str:
    """The stack's cloud. Raises LabError where there is no such stack, or the lab can't play its cloud."""
    cloud = str(_config(stack).get(f"{PREFIX}cloud"))
    if cloud not in SIMULATIONS:
        simulated = ", ".join(SIMULATIONS)
        raise LabError(f"Stack {stack!r} is on cloud {cloud!r}, which the lab does not simulate; it has: {simulated}.")
    return cloud


def prepare(lab: Lab, stack: str) -> Rehearsal:
    """Copy the program and the stack's file, and put the simulated cloud on PATH. Raises LabError."""
    cloud = simulated_cloud(stack)
    config, simulation = _config(stack), SIMULATIONS[cloud]
    folder = lab.state / "rehearsals" / stack  # of the lab, so that `down` removes one that was kept or killed
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    rehearsal = Rehearsal(lab, stack, cloud, folder, {})
    _copy_program(rehearsal.program)
    _write_stack_file(rehearsal, config)
    commands = folder / "bin"
    commands.mkdir()
    modules = {f"pulumi-resource-{cloud}": f"lab.plugins.{cloud}", **simulation.commands}
    for name, module in modules.items():
        (commands / name).write_text(LAUNCHER.format(checkout=CHECKOUT, python=sys.executable, module=module))
        (commands / name).chmod(0o755)
    rehearsal.environment |= _environment(rehearsal, simulation, commands)
    return rehearsal


def _config(stack: str) -> dict[str, Any]:
    path = CHECKOUT / f"Pulumi.{stack}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        known = sorted(file.name.split(".")[1] for file in CHECKOUT.glob("Pulumi.*.yaml"))
        raise LabError(f"There is no stack {stack!r}: no {path.name}. Stacks: {', '.join(known)}.") from None
    except yaml.YAMLError as fault:
        raise LabError(f"{path.name} is no valid YAML: {fault}") from fault
    return document.get("config") or {}


def _copy_program(target: Path) -> None:
    target.mkdir()
    for name in PROGRAM:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        else:
            shutil.copy(source, target / name)
    (target / ".venv").symlink_to(Path(sys.prefix))


def _write_stack_file(rehearsal: Rehearsal, config: dict[str, Any]) -> None:
    copied = dict(config)
    for key in IMAGE_KEYS:
        if copied.pop(PREFIX + key, None) not in (None, ""):
            rehearsal.changed.append(f"{key} is left out: what is rehearsed is built from source")
    copied[f"{PREFIX}namespace"] = rehearsal.namespace
    rehearsal.changed.append(f"namespace is {rehearsal.namespace}, so that it meets nothing else in the lab")
    for key, value in list(copied.items()):
        # The cloud's own secrets log in to it, for which the rehearsal has another way.
        noted = rehearsal.secure if key.startswith(PREFIX) else []
        copied[key] = _without_secrets(value, key.removeprefix(PREFIX), noted)
        if copied[key] is None:
            del copied[key]
    if rehearsal.secure:
        rehearsal.changed.append(f"secrets that only their owner can read have made-up values: {rehearsal.secure}")
    path = rehearsal.program / f"Pulumi.{rehearsal.stack}.yaml"
    path.write_text(yaml.safe_dump({"config": copied}), encoding="utf-8")


def _without_secrets(value: Any, path: str, secure: list[str]) -> Any:
    """The value less what is encrypted, whose paths are noted."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        secure.append(path)
        return None
    if isinstance(value, dict):
        kept = {key: _without_secrets(inner, f"{path}.{key}", secure) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None} or None
    return value


def _environment(rehearsal: Rehearsal, simulation: Simulation, commands: Path) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == "PULUMI_HOME"
        or (name not in simulation.hidden and not name.startswith(("PULUMI_", "KUBECONFIG", "ADDRESSBOOK_LAB_FAULT")))
    }
    of_lab = environment.variables(rehearsal.lab, in_lab=True)
    return {
        **inherited,
        "DOCKER_HOST": of_lab["DOCKER_HOST"],
        "PATH": f"{commands}{os.pathsep}{of_lab['PATH']}",
        "KUBECONFIG": str(rehearsal.folder / "no-kubeconfig"),  # the cluster is reached as the cloud's users reach it
        "PULUMI_BACKEND_URL": f"file://{rehearsal.folder}",
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **simulation.login,
    }


def _end(done: subprocess.CompletedProcess[str], lines: int = 25) -> str:
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in said[-lines:])
