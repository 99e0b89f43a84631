"""Every broken state that `diagnose` names, as plain manifests of tiny pods: one Deployment, Job or Service a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

REGISTRY = "10.203.0.1:5000"
BUSYBOX = f"{REGISTRY}/lab/busybox:1"
SERVICE = "shop"
#: Port on the node's own loopback, where containerd speaks plain HTTP, of the registry that asks for a login.
LOGIN_REGISTRY_PORT = 5998
ABSENT_DIGEST = "sha256:" + "0" * 64
#: What stands in the Secret that a crashing pod prints.
PASSWORD = "hush-this-is-secret-4711"

SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
SMALL = {"requests": {"cpu": "1m", "memory": "4Mi"}}


def shell(script: str) -> dict[str, Any]:
    return {"command": ["/bin/sh", "-c", script]}


def probe(path: str, **settings: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1, **settings}


def server(path: str = "/") -> dict[str, Any]:
    """A web server that has no pages; ``path`` is not among them."""
    return {
        "command": ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/proc/self/fd"],
        "ports": [{"name": "http", "containerPort": 8080}],
    }


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


def labels(name: str, track: str | None = "canary") -> dict[str, str]:
    return {"app": SERVICE, "row": name, **({"track": track} if track else {})}


def deployment(name: str, spec: Mapping[str, Any], replicas: int = 1, track: str | None = "canary") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels(name, track)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels(name, track)},
            "template": {"metadata": {"labels": labels(name, track)}, "spec": spec},
        },
    }


def service(name: str, selector: Mapping[str, str], port: str | int = "http", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": port}], **spec},
    }


def env_from(kind: str, name: str) -> dict[str, Any]:
    return {**shell("sleep 3600"), "envFrom": [{kind: {"name": name}}]}


def resources(**requests: str) -> dict[str, Any]:
    return {**shell("sleep 3600"), "resources": {"requests": requests}}


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


def quota_for_pods_without_requests() -> dict[str, Any]:
    """Refuses one row's pod and no other's: all the others request something."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-best-effort"},
        "spec": {"hard": {"pods": "0"}, "scopes": ["BestEffort"]},
    }


def database_environment(host: str) -> list[dict[str, str]]:
    values = {
        "DB_HOST": host,
        "DB_PORT": "5432",
        "DB_SCHEMA": "demo",
        "DB_USER": "demouser",
        "DB_PASSWORD": "none-1234",
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def volume(source: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    mounted = {**shell("sleep 3600"), "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    return mounted, [{"name": "data", **source}]


def manifests(addressbook: str) -> dict[str, Any]:
    """All rows as one list; ``addressbook`` is the reference of the service's image."""
    crash = 'echo starting; echo "cannot log in with $PASSWORD at postgres://me:$PASSWORD@db/x" >&2; exit 3'
    secret_volume, secret_volumes = volume({"secret": {"secretName": "absent-certificate"}})
    claim_volume, claim_volumes = volume({"persistentVolumeClaim": {"claimName": "unprovided"}})
    lost_volume, lost_volumes = volume({"persistentVolumeClaim": {"claimName": "absent-claim"}})
    rows = [
        quota_for_pods_without_requests(),
        secret("shop-secrets", PASSWORD=PASSWORD),
        secret("half", OTHER="x"),
        deployment("image-absent", pod({"image": f"{REGISTRY}/addressbook@{ABSENT_DIGEST}"}), replicas=2),
        deployment("image-denied", pod({"image": f"localhost:{LOGIN_REGISTRY_PORT}/private:1"})),
        deployment("registry-gone", pod({"image": "localhost:5997/shop:1"})),
        deployment("image-name-wrong", pod({"image": "Shop:1"})),
        deployment("crash-at-start", pod({**shell(crash), "envFrom": [{"secretRef": {"name": "shop-secrets"}}]})),
        deployment("crash-later", pod(shell("echo serving; sleep 15; echo 'panic: queue is full'; exit 1"))),
        deployment("ends-well", pod(shell("echo done; exit 0"))),
        deployment(
            "memory-hungry",
            pod(
                {**shell("tail /dev/zero"), "resources": {"requests": {"memory": "4Mi"}, "limits": {"memory": "16Mi"}}}
            ),
        ),
        deployment("command-wrong", pod({"command": ["/no/such/command"]})),
        deployment("shell-command-wrong", pod(shell("no-such-command"))),
        deployment("never-ready", pod({**server(), "readinessProbe": probe("/ready")})),
        deployment("port-closed", pod({**shell("sleep 3600"), "readinessProbe": probe("/ready")})),
        deployment("liveness", pod({**server(), "livenessProbe": probe("/live", failureThreshold=1)})),
        deployment("startup", pod({**server(), "startupProbe": probe("/live", failureThreshold=2)})),
        deployment("secret-absent", pod(env_from("secretRef", "absent-secret"))),
        deployment("config-absent", pod(env_from("configMapRef", "absent-config"))),
        deployment(
            "key-absent",
            pod(
                {
                    **shell("sleep 3600"),
                    "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "half", "key": "TOKEN"}}}],
                }
            ),
        ),
        deployment("secret-volume-absent", pod(secret_volume, volumes=secret_volumes)),
        deployment(
            "runs-as-root",
            pod(
                {"image": f"{REGISTRY}/library/debian:bookworm-slim", **shell("sleep 3600")},
                securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            ),
        ),
        deployment("memory-asked", pod(resources(memory="999Gi"))),
        deployment("cpu-asked", pod(resources(cpu="500"))),
        deployment("node-absent", pod(resources(cpu="1m"), nodeSelector={"disk": "no-node-has-this"})),
        claim("unprovided", "absent-class"),
        deployment("claim-pending", pod(claim_volume, volumes=claim_volumes)),
        deployment("claim-absent", pod(lost_volume, volumes=lost_volumes)),
        deployment("quota", pod({**shell("sleep 3600"), "resources": {}})),
        deployment("insecure", pod({**shell("sleep 3600"), "securityContext": {"privileged": True}})),
        deployment("account-absent", pod(shell("sleep 3600"), serviceAccountName="absent-account")),
        job("shop-migrate-abcdef", "echo 'relation \"persons\" already exists' >&2; exit 1"),
        deployment(
            "database-gone",
            pod(
                {
                    "image": addressbook,
                    "env": database_environment("no-database.invalid"),
                    "readinessProbe": {
                        "httpGet": {"path": "/ready", "port": 3000},
                        "periodSeconds": 1,
                        "timeoutSeconds": 5,
                    },
                }
            ),
        ),
        service("selects-nothing", {"app": "nobody"}),
        deployment("healthy", pod({**server()}), track="stable"),
        service("port-name-wrong", labels("healthy", "stable"), port="https"),
        service("not-ready-behind", labels("never-ready")),
        service(
            "address-pending", labels("healthy", "stable"), type="LoadBalancer", loadBalancerClass="example.com/nobody"
        ),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": rows}


if __name__ == "__main__":
    import sys

    print(json.dumps(manifests(sys.argv[1])))
