"""Pods that meet the restricted Pod Security Standard, and their labels."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from contract.platform import PodIdentity


@dataclass(frozen=True)
class Labels:
    """Labels of one workload."""

    #: Name of the workload.
    app: str
    #: Name of the service that it belongs to.
    part_of: str
    #: Track of the release, if it belongs to one.
    track: str | None = None

    @property
    def selector(self) -> dict[str, str]:
        """Labels that select the workload's pods and no others. They never change."""
        return {"app": self.app, **({"track": self.track} if self.track else {})}

    @property
    def all(self) -> dict[str, str]:
        """The selector's labels and Kubernetes' recommended ones."""
        return {
            **self.selector,
            "app.kubernetes.io/name": self.app,
            "app.kubernetes.io/instance": f"{self.app}-{self.track}" if self.track else self.app,
            "app.kubernetes.io/part-of": self.part_of,
        }


def migration_app(service: str) -> str:
    """Return label ``app`` of the migration pods. It differs from the service's, so that no Service selects them."""
    return f"{service}-migrate"


def restricted_container(container: k8s.core.v1.ContainerArgsDict) -> k8s.core.v1.ContainerArgsDict:
    """Return the container without privileges, capabilities or a writable root file system."""
    return {
        **container,
        "security_context": {
            "allow_privilege_escalation": False,
            "read_only_root_filesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def restricted_pod(
    uid: int,
    pod: k8s.core.v1.PodSpecArgsDict,
    pull_secret: pulumi.Input[str] | None = None,
    identity: PodIdentity | None = None,
) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod running as user and group ``uid``, without a token for the Kubernetes API.

    ``pull_secret`` is the name of the Secret with the registry's login, if the nodes have none. ``identity`` is the
    pod's in the cloud, if it has one.
    """
    restricted: k8s.core.v1.PodSpecArgsDict = {
        **pod,
        # Never left out: Kubernetes keeps the last account of a workload whose field is removed.
        "service_account_name": identity.service_account if identity else "default",
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": uid,
            "run_as_group": uid,
            "fs_group": uid,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
    }
    if pull_secret is not None:
        restricted["image_pull_secrets"] = [{"name": pull_secret}]
    return restricted
