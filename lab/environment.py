"""`env`: the `export` lines with which a shell's pulumi, kubectl and docker use the lab."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from lab import pulumi_plugins, toolchain
from lab.files import write
from lab.layout import Lab
from lab.project import PASSPHRASE, Target


def variables(lab: Lab, target: Target) -> dict[str, str]:
    """Return the environment variables for a stack in the lab. A stack on another cluster gets only the lab's tools."""
    result = {"PATH": os.pathsep.join(_search_path(lab)), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if pulumi_plugins.stand_ins(lab):
        # `up` has tried to install every plugin; asking again in each run would only take time.
        result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if not target.in_lab:
        return result
    result["KUBECONFIG"] = str(lab.kubeconfig)
    result["DOCKER_HOST"] = f"unix://{lab.docker_socket}"
    result["REGCTL_CONFIG"] = str(_regctl_settings(lab))
    if not os.environ.get("PULUMI_BACKEND_URL"):
        result["PULUMI_BACKEND_URL"] = f"file://{_backend(lab)}"
    if not any(os.environ.get(name) for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")):
        result["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(PASSPHRASE)
    return result


def _regctl_settings(lab: Lab) -> Path:
    """Configure regctl for the lab's registry, which speaks plain HTTP."""
    file = lab.cache / "regctl" / f"{lab.name}.json"
    write(file, json.dumps({"hosts": {lab.registry: {"tls": "disabled"}}}), mode=0o600)
    return file


def _backend(lab: Lab) -> Path:
    """Return the folder of the stacks' state, which ends with the lab, like the stacks themselves."""
    folder = lab.state / "pulumi"
    if lab.state.exists():  # otherwise `up` creates the lab, and Pulumi the folder
        folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _search_path(lab: Lab) -> list[str]:
    folders = [Path(sys.executable).parent]
    if pulumi_plugins.stand_ins(lab):
        folders.append(pulumi_plugins.folder(lab))
    folders += [tool.binaries(lab) for tool in (*toolchain.stack_tools(), toolchain.KUBERNETES) if tool.cached(lab)]
    user = os.environ.get("PATH", "").split(os.pathsep)
    return list(dict.fromkeys([*map(str, folders), *filter(None, user)]))


def export_lines(lab: Lab, target: Target) -> str:
    """Return lines for `eval "$(python -m lab env)"`.

    Where no lab runs, the machine's own Docker Engine builds images, as on a CI runner.
    """
    result = variables(lab, target)
    if not lab.docker_socket.exists():
        result.pop("DOCKER_HOST", None)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in result.items())
