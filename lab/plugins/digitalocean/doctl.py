"""Stand-in for doctl, of which a simulated cluster's kubeconfig needs one command: exec-credential."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from lab.layout import Lab
from lab.plugins.account import Account
from lab.plugins.digitalocean.slugs import TOKEN_VARIABLES

COMMAND = ["kubernetes", "cluster", "kubeconfig", "exec-credential"]
VALID_MINUTES = 10


def main(arguments: Sequence[str]) -> int:
    """Print an ExecCredential for the cluster that the last argument names; the exit code."""
    positional = [argument for argument in arguments if not argument.startswith("-")]
    if positional[:-1] != COMMAND:
        return _refuse(f"this stand-in knows `doctl {' '.join(COMMAND)} CLUSTER` only")
    if not any(os.environ.get(name) for name in TOKEN_VARIABLES):
        return _refuse("there is no access token: export DIGITALOCEAN_ACCESS_TOKEN or run `doctl auth init`")
    lab = Lab.from_environment()
    cluster = positional[-1]
    if Account(lab, "digitalocean").get("KubernetesCluster", cluster) is None:
        return _refuse(f"404 the simulated account has no Kubernetes cluster {cluster}")
    document: Any = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    user = document["users"][0]["user"]
    expiry = datetime.now(UTC) + timedelta(minutes=VALID_MINUTES)
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {
            "expirationTimestamp": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
        },
    }
    print(json.dumps(credential))
    return 0


def _refuse(reason: str) -> int:
    print(f"Error: {reason} (simulated doctl)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
