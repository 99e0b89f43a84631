"""The namespace a release lives in."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

#: Pod Security Standard enforced on everything in the namespace (Kubernetes documentation, Pod Security Admission).
POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


def namespace(name: str, kubernetes: k8s.Provider) -> k8s.core.v1.Namespace:
    """A namespace that the stack owns: `destroy` removes it with all that is in it."""
    return k8s.core.v1.Namespace(
        "namespace",
        metadata={"name": name, "labels": POD_SECURITY},
        opts=pulumi.ResourceOptions(provider=kubernetes),
    )
