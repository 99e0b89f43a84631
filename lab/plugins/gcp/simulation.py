"""How a stack on Google Cloud is rehearsed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lab.plugins.gcp.cloud import KINDS
from lab.plugins.gcp.credentials import VARIABLE, write_credentials
from lab.plugins.kubernetes import autopilot
from lab.plugins.simulated import discard_all
from lab.simulation import Simulation


def _login(folder: Path) -> Mapping[str, str]:
    gcloud = folder / "gcloud"  # hides the user's own, which holds real credentials
    file = gcloud / "application_default_credentials.json"
    write_credentials(file)
    return {VARIABLE: str(file), "CLOUDSDK_CONFIG": str(gcloud), autopilot.VARIABLE: "1"}


SIMULATION = Simulation(
    login=_login,
    clear=partial(discard_all, KINDS),
    commands={"gke-gcloud-auth-plugin": "lab.plugins.gcp.gke_gcloud_auth_plugin"},
    # Other sources from which Google's provider and libraries take credentials and a project.
    hidden=(
        "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON", "GOOGLE_OAUTH_ACCESS_TOKEN",
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "GCE_METADATA_HOST",
    ),
    config={
        "gcp:project": "simulated-project",
        "gcp:credentials": None,
        "gcp:accessToken": None,
        "gcp:impersonateServiceAccount": None,
    },
    domains=("sql-psa.goog",),
)  # fmt: skip
