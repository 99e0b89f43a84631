"""How a stack on Google Cloud is rehearsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.plugins.account import Account
from lab.plugins.engine import Engine
from lab.plugins.gcp.cloud import KINDS
from lab.plugins.gcp.credentials import VARIABLE, write_credentials
from lab.plugins.gcp.sql import DatabaseInstance
from lab.plugins.kubernetes import autopilot
from lab.plugins.simulated import discard_all
from lab.plugins.times import timestamp
from lab.simulation import Loss, Simulation


def _login(folder: Path) -> Mapping[str, str]:
    gcloud = folder / "gcloud"  # hides the user's own, which holds real credentials
    file = gcloud / "application_default_credentials.json"
    write_credentials(file)
    return {VARIABLE: str(file), "CLOUDSDK_CONFIG": str(gcloud), autopilot.VARIABLE: "1"}


def _lose(account: Account) -> Loss:
    """Delete the instance as somebody in the console would, without its protection."""
    (record,) = account.records(DatabaseInstance.__name__)
    settings = {**record.inputs["settings"], "deletionProtectionEnabled": False}
    unprotected = replace(record, inputs={**record.inputs, "deletionProtection": False, "settings": settings})
    kind = DatabaseInstance(account, Engine())
    kind.delete(unprotected)
    account.remove(record.type, record.id)
    kind.remove_dependents(record.id)
    deleted = timestamp()
    restore = {"server": record.id, "time": deleted, "deleted": deleted}
    return Loss(f"instance {record.id} was deleted", restore)


SIMULATION = Simulation(
    login=_login,
    clear=partial(discard_all, KINDS),
    lose=_lose,
    commands={
        "gke-gcloud-auth-plugin": "lab.plugins.gcp.gke_gcloud_auth_plugin",
        "gcloud": "lab.plugins.gcp.gcloud",
    },
    first_day=("expired", "disabled:Service", "quota:Network", "timeout:Cluster"),
    unoffered_version="1.99",
    undeletable="Connection",
    # Other sources from which Google's provider and libraries take credentials and a project.
    hidden=(
        "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON", "GOOGLE_OAUTH_ACCESS_TOKEN",
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "GCE_METADATA_HOST",
    ),
    config={
        "gcp:project": "simulated-project",
        "gcp:credentials": None,
        "gcp:accessToken": None,
        "gcp:impersonateServiceAccount": None,
        "addressbook:dnsZone": None,  # public zones are not simulated
    },
    domains=("sql-psa.goog",),
)  # fmt: skip
