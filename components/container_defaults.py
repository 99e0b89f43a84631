"""Settings shared by the service's pods and its migration: user, resources, timeout."""

from __future__ import annotations

import pulumi_kubernetes as k8s

from contract.settings import ServiceSettings

#: User that the pods run as. The image's files must be readable by any user.
SERVICE_UID = 10001
#: Seconds that the provider waits beyond the rollout's deadline, so that Kubernetes reports the failure first.
WAIT_MARGIN_SECONDS = 10


def service_resources(service: ServiceSettings) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Return CPU and memory of a container of the service's image."""
    return {
        "requests": {"cpu": service.cpu_request, "memory": service.memory_request},
        # No CPU limit: it would throttle start-up, just when a rollout needs speed.
        "limits": {"memory": service.memory_limit},
    }


def rollout_wait(service: ServiceSettings) -> dict[str, str]:
    """Return the annotation that ends the provider's wait shortly after Kubernetes' own deadline."""
    return {"pulumi.com/timeoutSeconds": str(service.rollout_timeout_seconds + WAIT_MARGIN_SECONDS)}
