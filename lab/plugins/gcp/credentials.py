"""Application default credentials of the simulated account: a file in Google's form, named by the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lab.files import write
from lab.plugins.account import EXPIRED, credentials_expired

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
REFRESH_TOKEN = "of-the-simulated-account"  # noqa: S105 not a secret


def write_credentials(file: Path) -> None:
    """Write the file that `gcloud auth application-default login` would write."""
    content = {
        "type": "authorized_user",
        "client_id": "simulated.apps.googleusercontent.com",
        "client_secret": "simulated",
        "refresh_token": REFRESH_TOKEN,
    }
    write(file, json.dumps(content, indent=2) + "\n", mode=0o600)


def credentials_problem() -> str:
    """Return the problem with the credentials that the environment names, "" if they are valid here."""
    if credentials_expired():
        return EXPIRED
    named = os.environ.get(VARIABLE, "")
    try:
        known = json.loads(Path(named).read_text(encoding="utf-8")) if named else {}
    except (OSError, ValueError):
        known = {}
    if known.get("refresh_token") == REFRESH_TOKEN:
        return ""
    return (
        "there are no application default credentials of the simulated account:"
        f" {VARIABLE} must name the file that the rehearsal wrote"
    )
