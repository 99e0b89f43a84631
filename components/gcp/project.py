"""Check access to a Google Cloud project, and name and label its resources."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_gcp as gcp
from pulumi.runtime import config as engine_config

from components.invokes import reason
from contract.errors import invalid_config

#: The provider's own key, because other `gcp:` keys and tools depend on it.
PROJECT_CONFIG = "gcp:project"
AUTH_PLUGIN = "gke-gcloud-auth-plugin"
LOG_IN = "run `gcloud auth application-default login`"
#: APIs through which all others are enabled.
PREREQUISITES = ("cloudresourcemanager", "serviceusage")
#: Google's refusal of a request to such an API, by its reason or its words.
_DISABLED = re.compile(r"SERVICE_DISABLED|accessNotConfigured|has not been used in project|it is disabled")
#: A project that does not exist, or that the caller must not see.
_REFUSED = re.compile(r"Error 40[034]|not found")
#: Form of a project id (Resource Manager documentation).
_PROJECT = re.compile(r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
#: A cluster's name has at most 40 characters (GKE documentation), including a random suffix of 7.
_NAME = re.compile(r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")
#: Labels have lower-case letters, digits, dashes and underscores, 63 at most (Resource Manager documentation).
_NOT_IN_A_LABEL = re.compile(r"[^a-z0-9_-]")
LABEL_LENGTH = 63


def missing_prerequisites() -> list[str]:
    """Return an error for each missing prerequisite: a valid resource name, a project, credentials, the GKE plugin."""
    errors: list[str] = []
    if not _NAME.match(stack_name()):
        errors.append(
            f"stack: its resources would be called `{stack_name()}`, but GKE allows only lower-case letters, digits and"
            " dashes, here 32 at most; rename it with `pulumi stack rename`"
        )
    if not project_id():
        errors.append(f"{PROJECT_CONFIG}: is not set and has no default (`pulumi config set {PROJECT_CONFIG} ID`)")
    elif not _PROJECT.match(project_id()):
        errors.append(
            f"{PROJECT_CONFIG} = {project_id()!r}: must be a project's id, neither its name nor its number: 6 to 30"
            " lower-case letters, digits and dashes (`gcloud projects list` shows it)"
        )
    return errors + missing_access()


def missing_access() -> list[str]:
    """Return an error for each missing prerequisite of a stack that creates nothing in the project."""
    errors: list[str] = []
    if error := _credentials_error():
        errors.append(f"credentials: {error}")
    if shutil.which(AUTH_PLUGIN) is None:
        errors.append(
            f"{AUTH_PLUGIN}: is not on PATH, but is needed to get the cluster's credentials; install it with"
            f" `gcloud components install {AUTH_PLUGIN}`"
            " (https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl)"
        )
    return errors


def _credentials_error() -> str | None:
    """Return the problem with the application default credentials, or None.

    Provider and plugin look for them in this order: the variable's file, gcloud's file, the metadata server (AIP-4110).
    """
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if named:
        exists = Path(named).is_file()
        return None if exists else f"GOOGLE_APPLICATION_CREDENTIALS names {named}, which does not exist; {LOG_IN}"
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    if (folder / "application_default_credentials.json").is_file() or _on_google_cloud():
        return None
    return (
        f"there are no application default credentials; {LOG_IN}, or on a machine without a browser set"
        " GOOGLE_APPLICATION_CREDENTIALS to a credentials file"
    )


def _on_google_cloud() -> bool:
    """Return whether this machine has a metadata server, detected as Google's libraries do, without a request."""
    if os.environ.get("GCE_METADATA_HOST"):
        return True
    try:
        return "Google" in Path("/sys/class/dmi/id/product_name").read_text()
    except OSError:
        return False


def access_token() -> str:
    """Return the caller's access token, a secret valid for an hour. Call it before any resource is declared.

    Raises pulumi.RunError if Google refuses, so that not every resource reports it.
    """
    try:
        return gcp.organizations.get_client_config().access_token
    except Exception as error:  # the SDK raises nothing narrower
        refusal = f"credentials: Google rejects those of this machine ({reason(error)}); {LOG_IN}"
        raise invalid_config([refusal]) from None


def check_project(region: str) -> bool:
    """Check that the project can be used and has the region. Call it before any resource is declared.

    Return whether Compute Engine answers.

    A project in which Compute Engine is not enabled yet lists no regions; the first `up` enables it, and checks then.
    An API that is down is a warning only, because a roll-back may need none of them.
    Raises pulumi.RunError if Google refuses, or has no such region.
    """
    project = project_id()
    try:
        billing = gcp.organizations.get_project(project_id=project).billing_account
    except Exception as error:  # the SDK raises nothing narrower
        _report(project, "Resource Manager", error)
        return False
    try:
        regions = gcp.compute.get_regions(project=project).names
    except Exception as error:
        if is_disabled(error):
            _check_new_project(project, billing)
        else:
            _report(project, "Compute Engine", error)
        return False
    if error := unknown_region(region, regions):
        raise invalid_config([error])
    return True


def unknown_region(region: str, regions: Sequence[str]) -> str:
    """Return the error for a region that is not among the project's, or ""."""
    if region in regions:
        return ""
    near = difflib.get_close_matches(region, regions, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(sorted(regions))}"
    return f"region = {region!r}: Google Cloud has no such region; {hint}"


def _check_new_project(project: str, billing: str) -> None:
    """Check what enabling the first APIs needs."""
    try:
        gcp.projects.get_project_service(project=project, service=f"{PREREQUISITES[0]}.googleapis.com")
    except Exception as error:
        _report(project, "Service Usage", error)
    if not billing:  # also empty if the billing API is not enabled
        pulumi.log.warn(
            f"{PROJECT_CONFIG} = {project!r}: no billing account is visible, and APIs are only enabled with one"
            f" (`gcloud billing projects link {project} --billing-account ID`)"
        )


def _report(project: str, api: str, error: Exception) -> None:
    """Warn that an API cannot be asked. Raises pulumi.RunError if it is disabled or refuses the caller."""
    subject = f"{PROJECT_CONFIG} = {project!r}: "
    if is_disabled(error):
        apis = " ".join(f"{each}.googleapis.com" for each in PREREQUISITES)
        raise invalid_config(
            [
                f"{subject}the API {api} is not enabled, and the provider needs it to enable others; run"
                f" `gcloud services enable {apis} --project {project}` and wait a minute"
            ]
        ) from None
    if _REFUSED.search(str(error)):
        raise invalid_config(
            [
                f"{subject}{api} denied access ({reason(error)}); check the id with `gcloud projects list`, and"
                " that your account has access to the project"
            ]
        ) from None
    pulumi.log.warn(f"{subject}could not be checked, because {api} does not answer ({reason(error)})")


def is_disabled(error: Exception) -> bool:
    """Return whether the error says that an API is disabled, or was enabled moments ago."""
    return bool(_DISABLED.search(str(error)))


def project_id() -> str:
    """Return the id of the project, or "" if the config names none."""
    return str(engine_config.CONFIG.get().get(PROJECT_CONFIG, ""))


def cluster_project(cluster: str) -> str:
    """Return the project in a cluster's id, ``projects/PROJECT/locations/REGION/clusters/NAME``."""
    return cluster.split("/")[1]


def stack_name() -> str:
    """Return the name, or the prefix of the names, of the stack's resources: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_labels() -> dict[str, str]:
    """Return the labels of all resources that can have labels."""
    labels = {"pulumi-project": pulumi.get_project(), "pulumi-stack": pulumi.get_stack()}
    return {key: _NOT_IN_A_LABEL.sub("-", value.lower())[:LABEL_LENGTH] for key, value in labels.items()}
