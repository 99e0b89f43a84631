"""A workload that breaks no rule, for tests to break one at a time."""

from __future__ import annotations

from typing import Any

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
IMAGE = "registry.example/addressbook@sha256:" + "a" * 64
PROBE = {"httpGet": {"path": "/ready", "port": "http"}}


def container(**changed: Any) -> dict[str, Any]:
    """A container as it should be; a change of None leaves something out."""
    good = {
        "name": "service",
        "image": IMAGE,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": PROBE,
        "livenessProbe": PROBE,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **changed,
    }
    return {key: value for key, value in good.items() if value is not None}


def pod(*containers: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A pod's spec as it should be."""
    good = {
        "containers": list(containers) or [container()],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **changed,
    }
    return {key: value for key, value in good.items() if value is not None}


def deployment(spec: dict[str, Any] | None = None, **labels: str) -> dict[str, Any]:
    """A Deployment of that pod, which selects by the labels."""
    chosen = labels or {"app": "service"}
    return {
        "metadata": {"namespace": "shop", "labels": chosen},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": chosen},
            "template": {"metadata": {"labels": chosen}, "spec": spec or pod()},
        },
    }
