"""The namespace a release lives in."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

#: Pod Security Standard enforced on everything in the namespace (Kubernetes documentation, Pod Security Admission).
POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
#: Label of a release stack's namespace: the namespace of the platform that it is on.
PLATFORM_LABEL = "addressbook/platform"


def namespace(name: str, kubernetes: k8s.Provider, platform: str = "") -> k8s.core.v1.Namespace:
    """A namespace that the stack owns: `destroy` removes it with all that is in it.

    ``platform``: the namespace of the platform's own stack, where that is another one.
    """
    labels = {**POD_SECURITY, **({PLATFORM_LABEL: platform} if platform else {})}
    return k8s.core.v1.Namespace(
        "namespace",
        metadata={"name": name, "labels": labels},
        opts=pulumi.ResourceOptions(provider=kubernetes),
    )
