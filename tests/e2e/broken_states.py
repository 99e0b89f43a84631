"""Everything that `diagnose` must explain, as data: a broken object, its cause, and a word from its remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REGISTRY = "10.203.0.1:5000"
BUSYBOX = f"{REGISTRY}/lab/busybox:1"
SERVICE = "shop"
#: Port of a registry that requires a login, on the node's own loopback, where containerd uses plain HTTP.
LOGIN_REGISTRY_PORT = 5998
#: Program of a registry that refuses everybody without a login.
LOGIN_REGISTRY = f"""
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", {LOGIN_REGISTRY_PORT}), Answer).serve_forever()
"""
ABSENT_DIGEST = "sha256:" + "0" * 64
#: Value of the Secret that a crashing pod prints.
PASSWORD = "hush-this-is-secret-4711"

SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
SMALL = {"requests": {"cpu": "1m", "memory": "4Mi"}}
CRASH = 'echo starting; echo "cannot log in with $PASSWORD at postgres://me:$PASSWORD@db/x" >&2; exit 3'


@dataclass(frozen=True)
class Case:
    """A broken object, with the cause that `diagnose` must name and a word that its remedy must contain."""

    cause: str
    remedy: str
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.manifest["metadata"]["name"]


def shell(script: str = "sleep 3600") -> dict[str, Any]:
    return {"command": ["/bin/sh", "-c", script]}


def probe(path: str, **settings: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1, **settings}


def server(**probes: Any) -> dict[str, Any]:
    """A web server without pages: every path answers 404."""
    command = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/proc/self/fd"]
    return {"command": command, "ports": [{"name": "http", "containerPort": 8080}], **probes}


def pod(container: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "securityContext": POD_SECURITY,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {"name": "main", "image": BUSYBOX, "securityContext": SECURITY, "resources": SMALL, **container}
        ],
        **spec,
    }


def labels(name: str, track: str = "canary") -> dict[str, str]:
    return {"app": SERVICE, "row": name, "track": track}


def deployment(
    name: str, container: Mapping[str, Any], replicas: int = 1, track: str = "canary", **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels(name, track)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels(name, track)},
            "template": {"metadata": {"labels": labels(name, track)}, "spec": pod(container, **spec)},
        },
    }


def service(name: str, selector: Mapping[str, str], port: str | int = "http", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": port}], **spec},
    }


def environment_from(kind: str, name: str) -> dict[str, Any]:
    return {**shell(), "envFrom": [{kind: {"name": name}}]}


def requests(**requests: str) -> dict[str, Any]:
    return {**shell(), "resources": {"requests": requests}}


def job(name: str, script: str) -> dict[str, Any]:
    own = {"app": f"{SERVICE}-migrate", "row": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": own},
        "spec": {
            "backoffLimit": 0,
            "template": {"metadata": {"labels": own}, "spec": pod(shell(script), restartPolicy="Never")},
        },
    }


def claim(name: str, storage_class: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }


def secret(name: str, **values: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def with_volume(name: str, source: Mapping[str, Any]) -> dict[str, Any]:
    mounted = {**shell(), "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    return deployment(name, mounted, volumes=[{"name": "data", **source}])


def without_database(addressbook: str) -> dict[str, Any]:
    """The addressbook, with a database host that does not exist."""
    values = {
        "DB_HOST": "no-database.invalid",
        "DB_PORT": "5432",
        "DB_SCHEMA": "demo",
        "DB_USER": "demouser",
        "DB_PASSWORD": "none-1234",
    }
    ready = {"httpGet": {"path": "/ready", "port": 3000}, "periodSeconds": 1, "timeoutSeconds": 5}
    environment = [{"name": name, "value": value} for name, value in values.items()]
    return {"image": addressbook, "env": environment, "readinessProbe": ready}


def surroundings() -> list[dict[str, Any]]:
    """Objects that are fine themselves, but that the broken ones need."""
    # Refuses only the pod that requests nothing: every other pod requests something.
    no_best_effort = {"hard": {"pods": "0"}, "scopes": ["BestEffort"]}
    return [
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-best-effort"}, "spec": no_best_effort},
        secret("shop-secrets", PASSWORD=PASSWORD),
        deployment("healthy", server(), track="stable"),
    ]


def cases(addressbook: str) -> Sequence[Case]:
    """Return all cases; ``addressbook`` is the service's image."""
    hungry = {**shell("tail /dev/zero"), "resources": {"requests": {"memory": "4Mi"}, "limits": {"memory": "16Mi"}}}
    balancer = {"type": "LoadBalancer", "loadBalancerClass": "example.com/nobody"}
    healthy = labels("healthy", "stable")
    return [
        Case("image-not-found", "canaryImage",
             deployment("image-absent", {"image": f"{REGISTRY}/addressbook@{ABSENT_DIGEST}"}, replicas=2)),
        Case("image-pull-denied", "let the cluster pull",
             deployment("image-denied", {"image": f"localhost:{LOGIN_REGISTRY_PORT}/private:1"})),
        Case("registry-unreachable", "nodes reach it", deployment("registry-gone", {"image": "localhost:5997/shop:1"})),
        Case("image-name-invalid", "canaryImage", deployment("image-name-wrong", {"image": "Shop:1"})),
        Case("crash-at-start", "log",
             deployment("crash-at-start", {**shell(CRASH), "envFrom": [{"secretRef": {"name": "shop-secrets"}}]})),
        Case("crash-later", "log",
             deployment("crash-later", shell("echo serving; sleep 15; echo 'panic: queue is full'; exit 1"))),
        Case("ends-by-itself", "foreground", deployment("ends-well", shell("echo done; exit 0"))),
        Case("out-of-memory", "memoryLimit", deployment("memory-hungry", hungry)),
        Case("wrong-command", "migrateCommand", deployment("command-wrong", {"command": ["/no/such/command"]})),
        Case("wrong-command", "migrateCommand", deployment("shell-command-wrong", shell("no-such-command"))),
        Case("failing-readiness-probe", "readinessPath",
             deployment("never-ready", server(readinessProbe=probe("/ready")))),
        Case("failing-readiness-probe", "port",
             deployment("port-closed", {**shell(), "readinessProbe": probe("/ready")})),
        Case("failing-liveness-probe", "livenessPath",
             deployment("liveness", server(livenessProbe=probe("/live", failureThreshold=1)))),
        Case("failing-startup-probe", "livenessPath",
             deployment("startup", server(startupProbe=probe("/live", failureThreshold=2)))),
        Case("missing-secret", "create it",
             deployment("secret-absent", environment_from("secretRef", "absent-secret"))),
        Case("missing-config-map", "create it",
             deployment("config-absent", environment_from("configMapRef", "absent-config"))),
        Case("missing-secret", "create it",
             with_volume("secret-volume-absent", {"secret": {"secretName": "absent-certificate"}})),
        Case("no-memory", "memoryRequest", deployment("memory-asked", requests(memory="999Gi"))),
        Case("no-cpu", "cpuRequest", deployment("cpu-asked", requests(cpu="500"))),
        Case("volume-claim-pending", "storageclass", claim("unprovided", "absent-class")),
        Case("volume-claim-pending", "storageclass",
             with_volume("claim-pending", {"persistentVolumeClaim": {"claimName": "unprovided"}})),
        Case("volume-claim-missing", "up",
             with_volume("claim-absent", {"persistentVolumeClaim": {"claimName": "absent-claim"}})),
        Case("quota", "quota raised", deployment("quota", {**shell(), "resources": {}})),
        Case("pod-security", "restricted",
             deployment("insecure", {**shell(), "securityContext": {"privileged": True}})),
        Case("failed-migration", "migration",
             job("shop-migrate-abcdef", "echo 'relation \"persons\" already exists' >&2; exit 1")),
        Case("database-unreachable", "NetworkPolicies", deployment("database-gone", without_database(addressbook))),
        Case("no-endpoints", "selector", service("selects-nothing", {"app": "nobody"})),
        Case("service-port", "targetPort", service("port-name-wrong", healthy, port="https")),
        Case("no-ready-endpoints", "pods", service("not-ready-behind", labels("never-ready"))),
        Case("load-balancer-pending", "addresses", service("address-pending", healthy, **balancer)),
    ]  # fmt: skip


#: Case by name. The image matters only to what the cluster runs.
CASES = {case.name: case for case in cases("image")}


def manifests(addressbook: str) -> dict[str, Any]:
    """Return all objects as one Kubernetes list."""
    items = [*surroundings(), *(case.manifest for case in cases(addressbook))]
    return {"apiVersion": "v1", "kind": "List", "items": items}
