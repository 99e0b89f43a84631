"""The application default credentials of the simulated account: a file of Google's form, named by the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lab.files import write
from lab.plugins.account import EXPIRED, expired

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
REFRESH_TOKEN = "of-the-simulated-account"  # noqa: S105 what it says


def write_credentials(file: Path) -> None:
    """Write the file that `gcloud auth application-default login` would."""
    content = {
        "type": "authorized_user",
        "client_id": "simulated.apps.googleusercontent.com",
        "client_secret": "simulated",
        "refresh_token": REFRESH_TOKEN,
    }
    write(file, json.dumps(content, indent=2) + "\n", mode=0o600)


def credentials_fault() -> str:
    """What is wrong with the credentials that the environment names, "" where they are the simulated account's."""
    if expired():
        return EXPIRED
    named = os.environ.get(VARIABLE, "")
    try:
        known = json.loads(Path(named).read_text(encoding="utf-8")) if named else {}
    except (OSError, ValueError):
        known = {}
    if known.get("refresh_token") == REFRESH_TOKEN:
        return ""
    return (
        f"there are no application default credentials of the simulated account: {VARIABLE} must name the file that"
        " the rehearsal has written"
    )
