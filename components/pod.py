"""Pods as the restricted Pod Security Standard wants them, and the labels they carry."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi_kubernetes as k8s


@dataclass(frozen=True)
class Labels:
    """Labels of one workload: ``selector`` identifies it for ever, ``all`` adds what people and tools read."""

    app: str
    part_of: str
    track: str | None = None

    @property
    def selector(self) -> dict[str, str]:
        """Labels that select the workload's pods, and no other workload's."""
        return {"app": self.app, **({"track": self.track} if self.track else {})}

    @property
    def all(self) -> dict[str, str]:
        """The selector and Kubernetes' recommended labels."""
        return {
            **self.selector,
            "app.kubernetes.io/name": self.app,
            "app.kubernetes.io/instance": f"{self.app}-{self.track}" if self.track else self.app,
            "app.kubernetes.io/part-of": self.part_of,
        }


def migration_app(service: str) -> str:
    """Label ``app`` of the service's migration pods: not the service's own, else the Services would select them."""
    return f"{service}-migrate"


def restricted_container(container: k8s.core.v1.ContainerArgsDict) -> k8s.core.v1.ContainerArgsDict:
    """The container without privileges, capabilities or a writable root file system."""
    return {
        **container,
        "security_context": {
            "allow_privilege_escalation": False,
            "read_only_root_filesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def restricted_pod(uid: int, pod: k8s.core.v1.PodSpecArgsDict) -> k8s.core.v1.PodSpecArgsDict:
    """The pod as user and group ``uid``, owning its volumes, with no token for the Kubernetes API."""
    return {
        **pod,
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
