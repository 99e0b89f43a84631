"""`env`: what a shell needs so that pulumi, kubectl and docker mean the lab, as `export` lines."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from lab import pulumi_plugins, toolchain
from lab.files import write
from lab.layout import CHECKOUT, Lab
from lab.stack_file import Target

PASSPHRASE = CHECKOUT / "lab" / "passphrase"  # public: see the comment in Pulumi.dev.yaml


def variables(lab: Lab, target: Target) -> dict[str, str]:
    """Names and values for a stack in the lab, or for one on a cluster of the user's own, whose settings then stay.

    The state of a stack on a cloud is where its team has signed in (`pulumi login`), under a key of the team's own.
    """
    found = {"PATH": os.pathsep.join(_search_path(lab)), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if pulumi_plugins.stand_ins(lab):
        # What could be had was had by `up`; asking again at each run would only cost its time.
        found["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if target.in_lab:
        found["KUBECONFIG"] = str(lab.kubeconfig)
        found["DOCKER_HOST"] = f"unix://{lab.docker_socket}"
        found["REGCTL_CONFIG"] = str(_regctl_settings(lab))
    if target.cloud != "local":
        return found
    if not os.environ.get("PULUMI_BACKEND_URL"):
        found["PULUMI_BACKEND_URL"] = f"file://{_backend(lab, target.in_lab)}"
    if not any(os.environ.get(name) for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")):
        found["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(PASSPHRASE)
    return found


def _regctl_settings(lab: Lab) -> Path:
    """A file that tells regctl what the lab's Docker Engine is told too: the lab's registry speaks plain HTTP."""
    file = lab.cache / "regctl" / f"{lab.name}.json"
    write(file, json.dumps({"hosts": {lab.registry: {"tls": "disabled"}}}), mode=0o600)
    return file


def _backend(lab: Lab, in_lab: bool) -> Path:
    """Folder of the stacks' state, made if it is missing.

    The state of a stack in the lab is in the lab, because what it describes ends with it; the state of a stack on
    another cluster must outlive every lab.
    """
    if in_lab:
        folder = lab.state / "pulumi"
        if not lab.state.exists():
            return folder  # `up` makes the lab, and Pulumi then the folder
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "addressbook" / "pulumi"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _search_path(lab: Lab) -> list[str]:
    folders = [Path(sys.executable).parent]
    if pulumi_plugins.stand_ins(lab):
        folders.append(pulumi_plugins.folder(lab))
    folders += [tool.binaries(lab) for tool in (*toolchain.stack_tools(), toolchain.KUBERNETES) if tool.built(lab)]
    user = os.environ.get("PATH", "").split(os.pathsep)
    return list(dict.fromkeys([*map(str, folders), *filter(None, user)]))


def export_lines(lab: Lab, target: Target) -> str:
    """Lines for `eval "$(python -m lab env)"`.

    Where no lab runs, images are built by the machine's own Docker Engine, as on a runner of CI.
    """
    found = variables(lab, target)
    if not lab.docker_socket.exists():
        found.pop("DOCKER_HOST", None)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.items())
