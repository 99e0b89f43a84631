"""Logins to the lab's Kubernetes, in the forms that a simulated cluster and its credential command hand out."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import yaml

from lab.layout import Lab
from lab.plugins.times import timestamp

_VALID = timedelta(minutes=10)


def kubeconfig(lab: Lab) -> dict[str, Any]:
    """Return the kubeconfig of the lab's administrator."""
    return yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))


def certificate_authority(lab: Lab) -> str:
    """Return the certificate of the cluster's authority, in base64."""
    return kubeconfig(lab)["clusters"][0]["cluster"]["certificate-authority-data"]


def exec_credential(lab: Lab) -> str:
    """Return an ExecCredential (client-go credential plugins) with the administrator's certificate, as JSON."""
    user = kubeconfig(lab)["users"][0]["user"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {
            "expirationTimestamp": timestamp(_VALID),
            "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
        },
    }
    return json.dumps(credential)
