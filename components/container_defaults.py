"""Settings shared by the service's pods and its migration: user, resources, timeout."""

from __future__ import annotations

import pulumi_kubernetes as k8s

from contract.settings import ServiceSettings

#: User that the pods run as. The image's files must be readable by any user.
SERVICE_UID = 10001
#: Seconds that the provider waits beyond the rollout's deadline, so that Kubernetes reports the failure first.
WAIT_MARGIN_SECONDS = 10


def service_resources(service: ServiceSettings) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Return CPU, memory and disk space of a container of the service's image."""
    disk = {"ephemeral-storage": service.ephemeral_storage}
    return {
        "requests": {"cpu": service.cpu_request, "memory": service.memory_request, **disk},
        # No CPU limit: it would throttle start-up, just when a rollout needs speed.
        "limits": {"memory": service.memory_limit, **disk},
    }


def temporary_files(service: ServiceSettings) -> k8s.core.v1.VolumeArgsDict:
    """Return the volume for /tmp. Without a limit, one pod could fill the disk and take its node down."""
    return {"name": "tmp", "empty_dir": {"size_limit": service.ephemeral_storage}}


def rollout_wait(service: ServiceSettings) -> dict[str, str]:
    """Return the annotation that ends the provider's wait shortly after Kubernetes' own deadline."""
    return {"pulumi.com/timeoutSeconds": str(service.rollout_timeout_seconds + WAIT_MARGIN_SECONDS)}
