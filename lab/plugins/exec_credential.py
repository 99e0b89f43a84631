"""What a cloud's credential command prints for a simulated cluster: the login to the lab's own Kubernetes."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import yaml

from lab.layout import Lab
from lab.plugins.times import timestamp

VALID = timedelta(minutes=10)


def exec_credential(lab: Lab) -> str:
    """An ExecCredential (client-go credential plugins) with the lab's administrator's certificate."""
    document: Any = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    user = document["users"][0]["user"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {
            "expirationTimestamp": timestamp(VALID),
            "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
        },
    }
    return json.dumps(credential)
