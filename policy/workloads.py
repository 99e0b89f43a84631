"""Workloads set requests, limits and probes."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.pods import Container, containers
from policy.rules import at, check_each, is_set

#: There is no CPU limit: it would throttle a pod when it has most to do, and the requests already protect others.
REQUIRED = (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
PROBES = ("readinessProbe", "livenessProbe")


def _limited(container: Container) -> str | None:
    missing = [
        f"{group}.{resource}" for group, resource in REQUIRED if not at(container.spec, "resources", group, resource)
    ]
    if not missing:
        return None
    return (
        f"container `{container.name}` has no resources.{', resources.'.join(missing)}: without them it may be placed"
        " on a full node or use up others' memory (config keys cpuRequest, memoryRequest, memoryLimit; for another"
        " container, its `resources`)"
    )


def _probed(container: Container) -> str | None:
    if not container.pod.serves or (container.init and not container.sidecar):
        return None  # jobs and ordinary init containers are judged by their exit code
    missing = [probe for probe in PROBES if not is_set(container.spec, probe)]
    if not missing:
        return None
    return (
        f"container `{container.name}` has no {' and no '.join(missing)}: Kubernetes would send it requests before it"
        " can answer, or keep it running when it no longer can (config keys readinessPath and livenessPath)"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="container-limits",
        description="Every container sets requests and a memory limit.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_each(containers, _limited),
    ),
    ResourceValidationPolicy(
        name="container-probes",
        description="Every serving container, sidecars included, has readiness and liveness probes.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_each(containers, _probed),
    ),
]
