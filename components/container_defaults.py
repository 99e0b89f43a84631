"""How the service's image is run, by its pods and by its migration: as whom, with how much, for how long awaited."""

from __future__ import annotations

import pulumi_kubernetes as k8s

from contract.settings import ServiceSettings

#: User that the pods run as; the image's files must be readable to any user.
SERVICE_UID = 10001
#: Seconds that the provider waits beyond the rollout's own deadline, so that Kubernetes' verdict comes first.
WAIT_MARGIN_SECONDS = 10


def service_resources(service: ServiceSettings) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """CPU and memory of a container of the service's image."""
    return {
        "requests": {"cpu": service.cpu_request, "memory": service.memory_request},
        # No CPU limit: it would throttle at the very moment a rollout needs the speed.
        "limits": {"memory": service.memory_limit},
    }


def rollout_wait(service: ServiceSettings) -> dict[str, str]:
    """Annotation that ends the provider's wait soon after Kubernetes' own."""
    return {"pulumi.com/timeoutSeconds": str(service.rollout_timeout_seconds + WAIT_MARGIN_SECONDS)}
