"""The restricted Pod Security Standard (Kubernetes documentation, Pod Security Standards), before anything is applied.

The namespace enforces it too, but only when pods are made: an `up` would have changed other things by then.
"""

from __future__ import annotations

from typing import Any

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.judging import Resource, at, is_set, judge_all, judge_each, judge_types, list_at, mapping_at
from policy.pods import Container, Pod, containers, pods

VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
ENFORCE = "pod-security.kubernetes.io/enforce"
WHERE = "components/pod.py has the settings"


def _effective(container: Container, *path: str) -> Any:
    """A setting of the container, else the pod's."""
    own = at(container.spec, "securityContext", *path)
    return own if own is not None else at(container.pod.spec, "securityContext", *path)


def _no_host(pod: Pod) -> str | None:
    shared = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(name)]
    return f"the pod has {', '.join(shared)}: leave the node's own out of it" if shared else None


def _volumes(pod: Pod) -> str | None:
    for volume in list_at(pod.spec, "volumes"):
        if wrong := sorted(set(volume) - VOLUMES - {"name"}):
            return f"volume `{volume.get('name')}` is a {wrong[0]}: use one of {', '.join(sorted(VOLUMES))}"
    return None


def _sysctls(pod: Pod) -> str | None:
    names = [str(each.get("name")) for each in list_at(pod.spec, "securityContext", "sysctls")]
    unsafe = [name for name in names if name not in SYSCTLS]
    return f"sysctl {', '.join(unsafe)} reaches beyond the pod: leave it out" if unsafe else None


def _no_privileges(container: Container) -> str | None:
    context = container.spec.get("securityContext")
    if at(context, "privileged"):
        return f"container `{container.name}` is privileged: set securityContext.privileged to false ({WHERE})"
    if at(context, "allowPrivilegeEscalation") is not False:
        return f"container `{container.name}` must set securityContext.allowPrivilegeEscalation to false ({WHERE})"
    if at(context, "procMount") not in (None, "Default"):
        return f"container `{container.name}` unmasks /proc: leave securityContext.procMount out"
    return None


def _no_capabilities(container: Container) -> str | None:
    capabilities = at(container.spec, "securityContext", "capabilities")
    if "ALL" not in list_at(capabilities, "drop"):
        return f"container `{container.name}` must drop ALL capabilities, securityContext.capabilities.drop ({WHERE})"
    added = [name for name in list_at(capabilities, "add") if name != "NET_BIND_SERVICE"]
    return f"container `{container.name}` adds the capabilities {', '.join(added)}: leave them out" if added else None


def _no_root(container: Container) -> str | None:
    if _effective(container, "runAsNonRoot") is not True:
        return f"container `{container.name}` must set securityContext.runAsNonRoot to true, or its pod must ({WHERE})"
    if _effective(container, "runAsUser") == 0:
        return f"container `{container.name}` runs as user 0: set securityContext.runAsUser to another ({WHERE})"
    return None


def _seccomp(container: Container) -> str | None:
    if _effective(container, "seccompProfile", "type") in ("RuntimeDefault", "Localhost"):
        return None
    return (
        f"container `{container.name}` needs securityContext.seccompProfile.type RuntimeDefault, or its pod ({WHERE})"
    )


def _no_host_ports(container: Container) -> str | None:
    taken = [str(port.get("hostPort")) for port in list_at(container.spec, "ports") if port.get("hostPort")]
    return f"container `{container.name}` takes the node's port {', '.join(taken)}: use a Service" if taken else None


def _confined(container: Container) -> str | None:
    if _effective(container, "appArmorProfile", "type") == "Unconfined":
        return f"container `{container.name}` is out of AppArmor: leave appArmorProfile out, or say RuntimeDefault"
    if _effective(container, "windowsOptions", "hostProcess"):
        return f"container `{container.name}` is a host process: leave windowsOptions.hostProcess out"
    return None


def _enforced(namespace: Resource) -> str | None:
    labels = mapping_at(namespace.props, "metadata", "labels")
    if not is_set(labels, ENFORCE):
        return f"the namespace has no label {ENFORCE}: give it the value `restricted` (components/namespace.py)"
    level = labels.get(ENFORCE)
    return None if level == "restricted" else f"label {ENFORCE} of the namespace is `{level}`: set `restricted`"


POLICIES = [
    ResourceValidationPolicy(
        name="restricted-pods",
        description="Pods keep to the restricted Pod Security Standard.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=judge_all(
            judge_each(pods, _no_host, _volumes, _sysctls),
            judge_each(containers, _no_privileges, _no_capabilities, _no_root, _seccomp, _no_host_ports, _confined),
            judge_types({"kubernetes:core/v1:Namespace": [_enforced]}),
        ),
    ),
]
