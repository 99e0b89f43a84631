"""The restricted Pod Security Standard (Kubernetes documentation, Pod Security Standards), checked in the preview.

The namespace enforces it too, but only when pods are created: by then an `up` has changed other things.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.pods import Container, Pod, containers, pods
from policy.rules import Resource, at, check_all, check_each, check_types, is_set, list_at, mapping_at

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
#: SELinux types of ordinary containers; "" is the runtime's own choice.
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
#: Where a container says whom the kubelet asks. `tcpSocket` exists in old hooks, too.
HANDLERS = (
    *((probe,) for probe in ("livenessProbe", "readinessProbe", "startupProbe")),
    *(("lifecycle", hook) for hook in ("postStart", "preStop")),
)
#: Annotations that chose a container's AppArmor profile before Kubernetes 1.30.
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
ENFORCE = "pod-security.kubernetes.io/enforce"
WHERE = "components/pod.py has the settings"


def _effective(container: Container, *path: str) -> Any:
    """Return the container's setting, or else the pod's."""
    own = at(container.spec, "securityContext", *path)
    return own if own is not None else at(container.pod.spec, "securityContext", *path)


@dataclass(frozen=True)
class Context:
    """The security context of a pod or of one of its containers, each of which must be harmless by itself."""

    where: str
    settings: Any


def _contexts(resource: Resource) -> Iterator[Context]:
    for pod in pods(resource):
        yield Context("the pod", at(pod.spec, "securityContext"))
    for container in containers(resource):
        yield Context(f"container `{container.name}`", at(container.spec, "securityContext"))


def _no_host(pod: Pod) -> str | None:
    shared = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(name)]
    return f"the pod sets {', '.join(shared)}: remove it" if shared else None


def _volumes(pod: Pod) -> str | None:
    for volume in list_at(pod.spec, "volumes"):
        if wrong := sorted(set(volume) - VOLUMES - {"name"}):
            return f"volume `{volume.get('name')}` is a {wrong[0]}: use one of {', '.join(sorted(VOLUMES))}"
    return None


def _sysctls(pod: Pod) -> str | None:
    names = [str(each.get("name")) for each in list_at(pod.spec, "securityContext", "sysctls")]
    unsafe = [name for name in names if name not in SYSCTLS]
    return f"sysctl {', '.join(unsafe)} is not namespaced: remove it" if unsafe else None


def _no_privileges(container: Container) -> str | None:
    context = container.spec.get("securityContext")
    if at(context, "privileged"):
        return f"container `{container.name}` is privileged: set securityContext.privileged to false ({WHERE})"
    if at(context, "allowPrivilegeEscalation") is not False:
        return f"container `{container.name}` must set securityContext.allowPrivilegeEscalation to false ({WHERE})"
    if at(context, "procMount") not in (None, "Default"):
        return f"container `{container.name}` unmasks /proc: remove securityContext.procMount"
    return None


def _no_capabilities(container: Container) -> str | None:
    capabilities = at(container.spec, "securityContext", "capabilities")
    if "ALL" not in list_at(capabilities, "drop"):
        return f"container `{container.name}` must drop ALL capabilities, securityContext.capabilities.drop ({WHERE})"
    added = [name for name in list_at(capabilities, "add") if name != "NET_BIND_SERVICE"]
    return f"container `{container.name}` adds the capabilities {', '.join(added)}: remove them" if added else None


def _must_be_non_root(container: Container) -> str | None:
    if _effective(container, "runAsNonRoot") is None:
        return f"container `{container.name}` must set securityContext.runAsNonRoot to true, or its pod must ({WHERE})"
    return None


def _must_set_seccomp(container: Container) -> str | None:
    if _effective(container, "seccompProfile", "type"):
        return None
    return (
        f"container `{container.name}` needs securityContext.seccompProfile.type RuntimeDefault, or its pod ({WHERE})"
    )


def _no_root(context: Context) -> str | None:
    if at(context.settings, "runAsNonRoot") is False:
        return f"{context.where} may run as root: set securityContext.runAsNonRoot to true ({WHERE})"
    if at(context.settings, "runAsUser") == 0:
        return f"{context.where} runs as user 0: set securityContext.runAsUser to another ({WHERE})"
    return None


def _no_other_profile(context: Context) -> str | None:
    if at(context.settings, "seccompProfile", "type") not in (None, "RuntimeDefault", "Localhost"):
        return f"{context.where} filters no system calls: set securityContext.seccompProfile.type to RuntimeDefault"
    if at(context.settings, "appArmorProfile", "type") not in (None, "RuntimeDefault", "Localhost"):
        return f"{context.where} is not confined by AppArmor: set securityContext.appArmorProfile to RuntimeDefault"
    if at(context.settings, "windowsOptions", "hostProcess"):
        return f"{context.where} is a host process: remove securityContext.windowsOptions.hostProcess"
    return None


def _no_selinux(context: Context) -> str | None:
    options = at(context.settings, "seLinuxOptions")
    chosen = [name for name in ("user", "role") if at(options, name)]
    if (at(options, "type") or "") not in SELINUX_TYPES:
        chosen.append("type")
    if not chosen:
        return None
    return f"{context.where} chooses its SELinux {', '.join(chosen)}: remove it from securityContext.seLinuxOptions"


def _no_host_ports(container: Container) -> str | None:
    taken = [str(port.get("hostPort")) for port in list_at(container.spec, "ports") if port.get("hostPort")]
    return f"container `{container.name}` uses host port {', '.join(taken)}: use a Service" if taken else None


def _no_other_host(container: Container) -> str | None:
    for path in HANDLERS:
        for kind in ("httpGet", "tcpSocket"):
            if host := at(container.spec, *path, kind, "host"):
                return (
                    f"{'.'.join(path)}.{kind} of container `{container.name}` makes the node ask {host}: remove host,"
                    " so that it asks the pod"
                )
    return None


def _annotations(pod: Pod) -> str | None:
    for name, profile in mapping_at(pod.metadata, "annotations").items():
        if name.startswith(APPARMOR) and not profile.startswith(("runtime/default", "localhost/")):
            return f"the pod's annotation {name} takes a container out of AppArmor: remove it"
    return None


def _read_only(container: Container) -> str | None:
    if at(container.spec, "securityContext", "readOnlyRootFilesystem") is True:
        return None
    return (
        f"container `{container.name}` can change its own program: set securityContext.readOnlyRootFilesystem to true,"
        f" and mount an emptyDir where it has to write ({WHERE})"
    )


def _enforced(namespace: Resource) -> str | None:
    labels = mapping_at(namespace.props, "metadata", "labels")
    if not is_set(labels, ENFORCE):
        return f"the namespace has no label {ENFORCE}: set it to `restricted` (components/namespace.py)"
    level = labels.get(ENFORCE)
    return None if level == "restricted" else f"label {ENFORCE} of the namespace is `{level}`: set `restricted`"


POLICIES = [
    ResourceValidationPolicy(
        name="restricted-pods",
        description="Pods comply with the restricted Pod Security Standard.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_all(
            check_each(pods, _no_host, _volumes, _sysctls, _annotations),
            check_each(_contexts, _no_root, _no_other_profile, _no_selinux),
            check_each(
                containers,
                *(
                    _no_privileges,
                    _no_capabilities,
                    _must_be_non_root,
                    _must_set_seccomp,
                    _no_host_ports,
                    _no_other_host,
                ),
            ),
            check_types({"kubernetes:core/v1:Namespace": [_enforced]}),
        ),
    ),
    ResourceValidationPolicy(
        name="read-only-files",
        description="Containers cannot change their own root file system.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_each(containers, _read_only),
    ),
]
