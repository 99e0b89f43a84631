"""The namespace of a release."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

#: Pod Security Standard enforced on everything in the namespace (Kubernetes documentation, Pod Security Admission).
POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
#: Label of a release stack's namespace; its value is the platform's namespace.
PLATFORM_LABEL = "addressbook/platform"


def namespace(
    name: str, kubernetes: k8s.Provider, platform: str = "", annotations: Mapping[str, str] | None = None
) -> k8s.core.v1.Namespace:
    """Declare the stack's namespace; `destroy` removes it with all its objects.

    ``platform`` is the namespace of the platform's own stack, if this is a release stack.
    """
    labels = {**POD_SECURITY, **({PLATFORM_LABEL: platform} if platform else {})}
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": name, "labels": labels}
    if annotations:
        metadata["annotations"] = annotations
    return k8s.core.v1.Namespace("namespace", metadata=metadata, opts=pulumi.ResourceOptions(provider=kubernetes))
