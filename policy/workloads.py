"""What a workload needs to share a cluster with others: requests, limits, probes."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.judging import at, is_set, judge_each
from policy.pods import Container, containers

#: No CPU limit among them: it would throttle a pod just when it has the most to do, and protects nobody from anything
#: that the requests don't.
NEEDED = (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
PROBES = ("readinessProbe", "livenessProbe")


def _limited(container: Container) -> str | None:
    missing = [f"{group}.{what}" for group, what in NEEDED if not at(container.spec, "resources", group, what)]
    if not missing:
        return None
    return (
        f"container `{container.name}` has no resources.{', resources.'.join(missing)}: without them it is placed on a"
        " node that has no room, or takes the memory of others (config keys cpuRequest, memoryRequest and memoryLimit;"
        " for another container, its `resources`)"
    )


def _probed(container: Container) -> str | None:
    if not (container.pod.serves and container.beside):
        return None  # what runs to its end is judged by its end
    missing = [probe for probe in PROBES if not is_set(container.spec, probe)]
    if not missing:
        return None
    return (
        f"container `{container.name}` has no {' and no '.join(missing)}: Kubernetes would send it users before it can"
        " answer, or keep it when it no longer can (config keys readinessPath and livenessPath)"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="container-limits",
        description="Every container says what it needs and where it ends.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=judge_each(containers, _limited),
    ),
    ResourceValidationPolicy(
        name="container-probes",
        description="Every container that serves can be asked whether it is ready and alive.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=judge_each(containers, _probed),
    ),
]
