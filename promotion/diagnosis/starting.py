"""Containers that cannot be made or started: what they lack, or a command that is not there."""

from __future__ import annotations

import re

from promotion.diagnosis.reason import Reason

#: Reasons of a waiting container whose settings cannot be put together.
UNCONFIGURED = frozenset({"CreateContainerConfigError"})
#: Reasons of a container that the runtime could not start.
UNSTARTABLE = frozenset(
    {"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun", "PostStartHookError"}
)
#: Events of a pod whose volumes or network cannot be set up.
SETUP_EVENTS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
#: Exit codes by which a shell says that it cannot run, or cannot find, a command.
SHELL_CANNOT_RUN = 126
SHELL_CANNOT_FIND = 127

_PUT_BACK = (
    "the release makes it, so the next `python -m promotion up` puts back what was deleted; if it is one of your own,"
    " create it in this namespace or correct its name"
)
_COMMAND = "correct the command (migrateCommand for a migration, otherwise CMD or ENTRYPOINT of the Dockerfile)"


def unconfigured(said: str) -> Reason:
    """Why a container's settings, or a pod's volumes, cannot be put together."""
    if found := re.search(r"(secret|configmap) \"?([^\s\"]+)\"? not found", said, re.IGNORECASE):
        kind = "Secret" if found[1].lower() == "secret" else "ConfigMap"
        cause = "missing-secret" if kind == "Secret" else "missing-config-map"
        return Reason(cause, f"{kind} {found[2].rpartition('/')[2]}, which the pod reads, does not exist", _PUT_BACK)
    if found := re.search(r"couldn't find key (\S+) in (Secret|ConfigMap) \S*?([^/\s]+)$", said):
        cause = "missing-secret-key" if found[2] == "Secret" else "missing-config-map-key"
        return Reason(
            cause,
            f"{found[2]} {found[3]} has no key {found[1]}, which the pod reads",
            f"add the key (secretEnvironment or environment in the stack file), or correct its name; {_PUT_BACK}",
        )
    if "references non-existent secret key" in said or "references non-existent config key" in said:
        kind = "Secret" if "secret key" in said else "ConfigMap"
        cause = "missing-secret-key" if kind == "Secret" else "missing-config-map-key"
        return Reason(
            cause, f"a {kind} lacks a key that the pod mounts", f"add the key, or correct its name; {_PUT_BACK}"
        )
    if "runAsNonRoot" in said or "run as root" in said or "non-numeric user" in said:
        return Reason(
            "runs-as-root",
            "the image wants to run as root, or as a user without a number, and the pod forbids it",
            "give the Dockerfile a numeric `USER`, such as `USER 10001:10001`",
        )
    return Reason(
        "container-config", "the container's settings cannot be put together", "the evidence says what it lacks"
    )


def unstartable(said: str) -> Reason:
    """Why the runtime could not start a container."""
    if "exec format error" in said:
        return Reason(
            "image-platform",
            "the image was not built for the nodes' processors",
            "set buildPlatform to that of the nodes (`kubectl get nodes -o wide`), or name an image built for it",
        )
    command = re.search(r"exec: \\?\"([^\"\\]+)\\?\"", said)
    named = f"`{command[1]}`" if command else "the container's command"
    if re.search(r"executable file not found|no such file or directory", said):
        return Reason("wrong-command", f"{named} is not in the image", f"{_COMMAND}, or build an image that has it")
    if "permission denied" in said:
        return Reason(
            "wrong-command",
            f"{named} is in the image but may not be executed",
            f"{_COMMAND}, or make the file executable for every user when the image is built",
        )
    return Reason("container-start", "the container runtime cannot start the container", "the evidence is what it says")


def not_set_up(reason: str, said: str) -> Reason:
    """Why a pod that has a node gets no further: the newest of SETUP_EVENTS and what it says."""
    if reason == "FailedCreatePodSandBox":
        return Reason(
            "pod-network",
            "the node cannot set up the pod's network",
            "look at the cluster's network plugin on that node; a full address range for pods shows here too",
        )
    missing = unconfigured(said)
    if missing.cause != "container-config":
        return missing
    return Reason(
        "volume-mount",
        "a volume of the pod cannot be attached or mounted",
        "the evidence is the storage driver's answer; a volume that another node still holds is let go within minutes",
    )


def command_missing(code: int) -> Reason | None:
    """What a shell says by its exit code; None when the code says nothing of that kind."""
    if code == SHELL_CANNOT_FIND:
        return Reason("wrong-command", "a command that the container runs is not in the image", _COMMAND)
    if code == SHELL_CANNOT_RUN:
        return Reason("wrong-command", "a command that the container runs may not be executed", _COMMAND)
    return None
