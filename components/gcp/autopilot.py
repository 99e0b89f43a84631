"""What GKE Autopilot does to a pod's requests.

It raises requests that are below its minimum, in the cluster's copy of the object. The next update then finds a
difference that nobody made: it replaces Jobs, and everything that waits for them.
"""

from __future__ import annotations

from math import ceil, floor

from contract.settings import ServiceSettings, quantity

MEBI = 2**20
#: Minimum of a container, and of memory per processor (GKE documentation, Resource requests in Autopilot, general
#: purpose with bursting).
MINIMUM_CPU = "50m"
MINIMUM_MEMORY = "52Mi"
MEMORY_PER_CPU = ("1Gi", "6.5Gi")
#: Range of a pod's disk space.
EPHEMERAL_STORAGE = ("10Mi", "10Gi")


def changed_requests(service: ServiceSettings) -> list[str]:
    """Return an error, beginning with its key, for each request that Autopilot would change."""
    cpu, memory, disk = map(quantity, (service.cpu_request, service.memory_request, service.ephemeral_storage))
    if cpu < quantity(MINIMUM_CPU):
        return [f"cpuRequest = {service.cpu_request!r}: is below Autopilot's minimum; set {MINIMUM_CPU} or more"]
    least, most = (cpu * quantity(each) for each in MEMORY_PER_CPU)
    least = max(least, quantity(MINIMUM_MEMORY))
    lowest, highest = EPHEMERAL_STORAGE
    errors: list[str] = []
    if not least <= memory <= most:
        errors.append(
            f"memoryRequest = {service.memory_request!r}: Autopilot would change it; with cpuRequest"
            f" {service.cpu_request}, set {ceil(least / MEBI)}Mi to {floor(most / MEBI)}Mi"
        )
    if not quantity(lowest) <= disk <= quantity(highest):
        errors.append(
            f"ephemeralStorage = {service.ephemeral_storage!r}: Autopilot allows {lowest} to {highest}; set a value in"
            " this range"
        )
    return errors
