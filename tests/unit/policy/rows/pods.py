"""Pods: the whole of the restricted Pod Security Standard, limits, probes, images."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.rows import Row
from tests.unit.policy.workload import DEPLOYMENT, container, deployment, pod

JOB = "kubernetes:batch/v1:Job"
NAMESPACE = "kubernetes:core/v1:Namespace"
GOOD = deployment()
POD_CONTEXT, CONTEXT = pod()["securityContext"], container()["securityContext"]
PROBE = {"httpGet": {"path": "/", "port": 80, "host": "169.254.169.254"}}
SOCKET = {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}
ENFORCE = "pod-security.kubernetes.io/enforce"
SIDECAR = container(name="proxy", restartPolicy="Always")
APPARMOR = "container.apparmor.security.beta.kubernetes.io/service"


def _container(policy: str, message: str, **changed: Any) -> Row:
    return Row(policy, DEPLOYMENT, GOOD, deployment(pod(container(**changed))), message)


def _context(message: str, accepted: dict[str, Any] | None = None, **changed: Any) -> Row:
    """A setting of a container's security context."""
    good = deployment(pod(container(securityContext={**CONTEXT, **(accepted or {})})))
    return Row("restricted-pods", DEPLOYMENT, good, _changed_context(changed), message)


def _changed_context(changed: dict[str, Any]) -> dict[str, Any]:
    return deployment(pod(container(securityContext={**CONTEXT, **changed})))


def _pod(message: str, accepted: dict[str, Any] | None = None, **changed: Any) -> Row:
    return Row("restricted-pods", DEPLOYMENT, deployment(pod(**(accepted or {}))), deployment(pod(**changed)), message)


def _pod_context(message: str, accepted: dict[str, Any] | None = None, **changed: Any) -> Row:
    """A setting of the pod's security context, which no container may hide with a setting of its own."""
    hidden = container(securityContext={**CONTEXT, **POD_CONTEXT, "runAsUser": 1000})
    good = {"securityContext": {**POD_CONTEXT, **(accepted or {})}}
    bad = pod(hidden, securityContext={**POD_CONTEXT, **changed})
    return Row("restricted-pods", DEPLOYMENT, deployment(pod(**good)), deployment(bad), message)


def _annotated(profile: str) -> dict[str, Any]:
    props = deployment()
    props["spec"]["template"]["metadata"] = {"annotations": {APPARMOR: profile}}
    return props


ROWS = [
    _container("images-by-digest", "name it by digest, REPOSITORY@sha256:DIGEST", image="registry.example/shop:v2"),
    _container("images-by-digest", "a tag can move", image="registry.example/addressbook"),
    _container("images-by-digest", "stableImage", image="registry.example/addressbook@sha256:abc"),
    _container("images-by-digest", "names no image", image=None),
    _container("container-limits", "resources.requests.cpu, resources.requests.memory", resources=None),
    _container("container-limits", "no resources.limits.memory", resources={"requests": {"cpu": "1", "memory": "1Gi"}}),
    _container("container-probes", "no readinessProbe", readinessProbe=None),
    _container("container-probes", "no readinessProbe and no livenessProbe", livenessProbe=None, readinessProbe=None),
    # A native sidecar serves as long as its pod; an ordinary init container and a Job's sidecar do not.
    Row(
        "container-probes",
        DEPLOYMENT,
        deployment(pod(initContainers=[SIDECAR])),
        deployment(pod(initContainers=[{**SIDECAR, "livenessProbe": None}])),
        "`proxy` has no livenessProbe",
    ),
    Row(
        "container-probes",
        DEPLOYMENT,
        deployment(pod(initContainers=[container(readinessProbe=None, livenessProbe=None)])),
        deployment(pod(initContainers=[container(readinessProbe=None, restartPolicy="Always")])),
        "no readinessProbe",
    ),
    _container("read-only-files", "emptyDir", securityContext={**CONTEXT, "readOnlyRootFilesystem": False}),
    _container("read-only-files", "readOnlyRootFilesystem", securityContext=None),
    Row(
        "read-only-files",
        JOB,
        {"spec": {"template": {"spec": pod()}}},
        {"spec": {"template": {"spec": pod(initContainers=[container(name="first", securityContext={})])}}},
        "`first`",
    ),
    # Containers: Pod Security Standards, baseline.
    _context("privileged", {"privileged": False}, privileged=True),
    _context("unmasks /proc", {"procMount": "Default"}, procMount="Unmasked"),
    _context("NET_ADMIN", capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    _context("SELinux type", {"seLinuxOptions": {"type": "container_t"}}, seLinuxOptions={"type": "spc_t"}),
    _context("SELinux type", {"seLinuxOptions": {"type": "container_init_t"}}, seLinuxOptions={"type": "super_t"}),
    _context("SELinux type", {"seLinuxOptions": {"type": "container_kvm_t"}}, seLinuxOptions={"type": "kernel_t"}),
    _context("SELinux type", {"seLinuxOptions": {"type": "container_engine_t"}}, seLinuxOptions={"type": "init_t"}),
    _context("SELinux user", {"seLinuxOptions": {"level": "s0:c1"}}, seLinuxOptions={"user": "system_u"}),
    _context("SELinux role", {"seLinuxOptions": {}}, seLinuxOptions={"role": "system_r"}),
    _context("AppArmor", {"appArmorProfile": {"type": "RuntimeDefault"}}, appArmorProfile={"type": "Unconfined"}),
    _context("host process", {"windowsOptions": {"hostProcess": False}}, windowsOptions={"hostProcess": True}),
    _context(
        "filters no system calls", {"seccompProfile": {"type": "Localhost"}}, seccompProfile={"type": "Unconfined"}
    ),
    _container("restricted-pods", "livenessProbe.httpGet", livenessProbe=PROBE),
    _container("restricted-pods", "readinessProbe.httpGet", readinessProbe=PROBE),
    _container("restricted-pods", "startupProbe.tcpSocket", startupProbe=SOCKET),
    _container("restricted-pods", "lifecycle.preStop.httpGet", lifecycle={"preStop": PROBE}),
    _container("restricted-pods", "lifecycle.postStart.tcpSocket", lifecycle={"postStart": SOCKET}),
    Row(
        "restricted-pods",
        DEPLOYMENT,
        deployment(pod(initContainers=[SIDECAR])),
        deployment(pod(initContainers=[{**SIDECAR, "livenessProbe": PROBE}])),
        "ask 169.254.169.254",
    ),
    _container("restricted-pods", "host port 80", ports=[{"containerPort": 80, "hostPort": 80}]),
    # Containers: restricted.
    _context("allowPrivilegeEscalation", allowPrivilegeEscalation=None),
    _context("allowPrivilegeEscalation", allowPrivilegeEscalation=True),
    _context("drop ALL", capabilities={}),
    _context("runAsNonRoot", {"runAsNonRoot": True}, runAsNonRoot=False),
    _context("user 0", {"runAsUser": 1000}, runAsUser=0),
    # Pods.
    _pod("hostNetwork, hostPID", {"hostNetwork": False}, hostNetwork=True, hostPID=True),
    _pod("hostIPC", {"hostUsers": False}, hostIPC=True),
    _pod("hostPath", {"volumes": [{"name": "a", "emptyDir": {}}]}, volumes=[{"name": "a", "hostPath": {"path": "/"}}]),
    _pod("is a nfs", {"volumes": [{"name": "a", "csi": {}}]}, volumes=[{"name": "a", "nfs": {"server": "b"}}]),
    _pod("needs securityContext.seccompProfile", securityContext={"runAsNonRoot": True}),
    _pod("runAsNonRoot", securityContext={"seccompProfile": {"type": "RuntimeDefault"}}),
    _pod_context(
        "kernel.msgmax",
        {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]},
        sysctls=[{"name": "kernel.msgmax", "value": "1"}],
    ),
    _pod_context("the pod runs as user 0", {"runAsUser": 10001}, runAsUser=0),
    _pod_context("the pod may run as root", runAsNonRoot=False),
    _pod_context("the pod filters no system calls", seccompProfile={"type": "Unconfined"}),
    _pod_context("the pod is not confined", appArmorProfile={"type": "Unconfined"}),
    _pod_context("the pod is a host process", windowsOptions={"hostProcess": True}),
    _pod_context("the pod chooses its SELinux type", seLinuxOptions={"type": "spc_t"}),
    Row("restricted-pods", DEPLOYMENT, _annotated("runtime/default"), _annotated("unconfined"), "annotation"),
    Row(
        "restricted-pods",
        NAMESPACE,
        {"metadata": {"labels": {ENFORCE: "restricted"}}},
        {"metadata": {"labels": {ENFORCE: "baseline"}}},
        "`baseline`",
    ),
    Row("restricted-pods", NAMESPACE, {"metadata": {"labels": {ENFORCE: "restricted"}}}, {}, "no label"),
]
