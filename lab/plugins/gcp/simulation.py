"""How a stack on Google Cloud is rehearsed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.plugins import zones
from lab.plugins.account import Account
from lab.plugins.gcp.credentials import VARIABLE, write_credentials
from lab.plugins.gcp.sql import server
from lab.simulation import Simulation


def _login(folder: Path) -> Mapping[str, str]:
    gcloud = folder / "gcloud"  # in place of the user's, which holds real credentials
    file = gcloud / "application_default_credentials.json"
    write_credentials(file)
    return {VARIABLE: str(file), "CLOUDSDK_CONFIG": str(gcloud)}


def _clear(account: Account) -> None:
    for record in account.records():
        if record.type == "DatabaseInstance":
            server(account, record).destroy()
        if record.type == "ManagedZone":
            zones.remove(account.lab, record.inputs["dnsName"].rstrip("."))


SIMULATION = Simulation(
    login=_login,
    clear=_clear,
    commands={"gke-gcloud-auth-plugin": "lab.plugins.gcp.gke_gcloud_auth_plugin"},
    # What Google's provider and libraries take credentials and a project from.
    hidden=(
        "GOOGLE_CREDENTIALS",
        "GOOGLE_CLOUD_KEYFILE_JSON",
        "GCLOUD_KEYFILE_JSON",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
        "GOOGLE_PROJECT",
        "GOOGLE_CLOUD_PROJECT",
        "GCLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        "GCE_METADATA_HOST",
    ),
    config={
        "gcp:project": "simulated-project",
        "gcp:credentials": None,
        "gcp:accessToken": None,
        "gcp:impersonateServiceAccount": None,
    },
    domains=("sql-psa.goog",),
)
