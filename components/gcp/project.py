"""What work in a Google Cloud project needs on this machine, and how its resources are named and labelled."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pulumi
import pulumi_gcp as gcp
from pulumi.runtime import config as engine_config

from components.invokes import reason
from contract.errors import invalid_config

#: The provider's own key, so that all its tools and other `gcp:` keys go on working as people know them.
PROJECT_CONFIG = "gcp:project"
AUTH_PLUGIN = "gke-gcloud-auth-plugin"
LOG_IN = "`gcloud auth application-default login` gets some"
#: A project's id: 6 to 30 characters, the first a letter, the last no dash (Resource Manager documentation).
_PROJECT = re.compile(r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
#: Seven of a cluster's 40 characters are a dash and its random ending (GKE documentation).
_NAME = re.compile(r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")
#: Lower-case letters, digits, dashes and underscores, 63 at most (Resource Manager documentation, Labels).
_NOT_IN_A_LABEL = re.compile(r"[^a-z0-9_-]")
LABEL_LENGTH = 63


def missing_prerequisites() -> list[str]:
    """What is not there: a project, a usable name, credentials, the command that presents them to the cluster."""
    faults: list[str] = []
    if not _NAME.match(stack_name()):
        faults.append(
            f"stack: its resources would be called `{stack_name()}`, and GKE takes lower-case letters, digits and"
            " dashes, here 32 at most; `pulumi stack rename` gives it another name"
        )
    if not project_id():
        faults.append(f"{PROJECT_CONFIG}: is not set, and has no default (`pulumi config set {PROJECT_CONFIG} ID`)")
    elif not _PROJECT.match(project_id()):
        faults.append(
            f"{PROJECT_CONFIG} = {project_id()!r}: must be a project's id, 6 to 30 lower-case letters, digits and"
            " dashes (`gcloud projects list` shows it; neither the name nor the number)"
        )
    return faults + missing_access()


def missing_access() -> list[str]:
    """The same, where nothing is made in the project."""
    faults: list[str] = []
    if wrong := _credentials_fault():
        faults.append(f"credentials: {wrong}")
    if shutil.which(AUTH_PLUGIN) is None:
        faults.append(
            f"{AUTH_PLUGIN}: not on PATH, and the cluster's short-lived credentials come from it; install it with"
            f" `gcloud components install {AUTH_PLUGIN}`"
            " (https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl)"
        )
    return faults


def _credentials_fault() -> str | None:
    """What is wrong with the application default credentials; provider and plugin look for the same ones.

    In their order: the file of an environment variable, the file gcloud writes, a machine of Google's (AIP-4110).
    """
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if named:
        there = Path(named).is_file()
        return None if there else f"GOOGLE_APPLICATION_CREDENTIALS names {named}, and there is no such file; {LOG_IN}"
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    if (folder / "application_default_credentials.json").is_file() or _on_google_cloud():
        return None
    return (
        f"there are no application default credentials of Google Cloud; {LOG_IN}, and on a machine without a browser"
        " GOOGLE_APPLICATION_CREDENTIALS names a file of them"
    )


def _on_google_cloud() -> bool:
    """Whether a metadata server hands out credentials, told as Google's own libraries do, without asking it."""
    if os.environ.get("GCE_METADATA_HOST"):
        return True
    try:
        return "Google" in Path("/sys/class/dmi/id/product_name").read_text()
    except OSError:
        return False


def access_token() -> pulumi.Output[str]:
    """A token of whoever runs the program, valid an hour, to be asked for before anything is made.

    Raises pulumi.RunError where Google gives none: else each resource would say so for itself.
    """
    try:
        token = gcp.organizations.get_client_config().access_token
    except Exception as fault:  # the SDK raises nothing narrower
        refusal = f"credentials: Google takes none from this machine ({reason(fault)}); {LOG_IN}"
        raise invalid_config([refusal]) from None
    return pulumi.Output.secret(token)


def project_id() -> str:
    """Id of the project that everything is made in; empty where the config names none."""
    return str(engine_config.CONFIG.get().get(PROJECT_CONFIG, ""))


def stack_name() -> str:
    """What the stack's resources are called, or what their names begin with: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_labels() -> dict[str, str]:
    """Labels of everything in the stack that can carry labels."""
    labels = {"pulumi-project": pulumi.get_project(), "pulumi-stack": pulumi.get_stack()}
    return {key: _NOT_IN_A_LABEL.sub("-", value.lower())[:LABEL_LENGTH] for key, value in labels.items()}
