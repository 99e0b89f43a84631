"""Stand-in for gke-gcloud-auth-plugin, which hands out the lab's credentials for a simulated cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lab.layout import Lab
from lab.plugins.account import Account
from lab.plugins.exec_credential import exec_credential
from lab.plugins.gcp.credentials import credentials_problem

OPTION = "--use_application_default_credentials"


def main(arguments: Sequence[str]) -> int:
    """Print an ExecCredential; return the exit code."""
    if list(arguments) != [OPTION]:
        return _refuse(f"this stand-in knows only `gke-gcloud-auth-plugin {OPTION}`")
    if problem := credentials_problem():
        return _refuse(problem)
    lab = Lab.from_environment()
    if not Account(lab, "gcp").records("Cluster"):
        return _refuse("404 the simulated account has no cluster")
    print(exec_credential(lab))
    return 0


def _refuse(reason: str) -> int:
    print(f"Error: {reason} (simulated gke-gcloud-auth-plugin)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
