"""The laptop stack written out by hand: one file, no settings, no components."""

# Plain dicts, as people write them; the SDK's types do not cover shared parts.
# pyright: reportArgumentType=false

import base64
import hashlib
import hmac
import json

import pulumi
import pulumi_docker as docker
import pulumi_kubernetes as k8s
import pulumi_random as random

config = pulumi.Config()
NAMESPACE = config.require("namespace")
REGISTRY = config.require("registry")
CONTEXT = config.require("buildContext")

RESTRICTED = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
TIMEOUT = {"pulumi.com/timeoutSeconds": "130"}


def labels(app: str, track: str = "") -> dict[str, str]:
    return {
        "app": app,
        **({"track": track} if track else {}),
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{app}-{track}" if track else app,
        "app.kubernetes.io/part-of": "addressbook",
    }


def pod_user(uid: int) -> dict[str, object]:
    return {
        "run_as_non_root": True,
        "run_as_user": uid,
        "run_as_group": uid,
        "fs_group": uid,
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def encoded(value: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.secret(value).apply(lambda text: base64.b64encode(text.encode()).decode())


def keyed_hash(key: str, values: dict[str, str]) -> str:
    return hmac.new(key.encode(), json.dumps(sorted(values.items())).encode(), hashlib.sha256).hexdigest()[:32]


provider = k8s.Provider(
    "kubernetes",
    context=config.require("kubeContext"),
    cluster_identifier=config.require("kubeContext"),
    enable_server_side_apply=True,
    enable_patch_force=True,
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
)
on_cluster = pulumi.ResourceOptions(provider=provider)

namespace = k8s.core.v1.Namespace(
    "namespace",
    metadata={
        "name": NAMESPACE,
        "labels": {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")},
    },
    opts=on_cluster,
)
space = namespace.metadata["name"]

# --- database ---------------------------------------------------------------------------------------
password = random.RandomPassword("database-password", length=24, special=False)
database_metadata = {"name": "addressbook-db", "namespace": space, "labels": labels("addressbook-db")}
database_secret = k8s.core.v1.Secret(
    "database-password", metadata=database_metadata, string_data={"password": password.result}, opts=on_cluster
)
claim = k8s.core.v1.PersistentVolumeClaim(
    "database",
    metadata=database_metadata,
    spec={"access_modes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    opts=on_cluster,
)
k8s.core.v1.Service(
    "database",
    metadata=database_metadata,
    spec={
        "selector": {"app": "addressbook-db"},
        "ports": [{"name": "postgres", "port": 5432, "target_port": "postgres"}],
    },
    opts=on_cluster,
)
database_policy = k8s.networking.v1.NetworkPolicy(
    "database",
    metadata=database_metadata,
    spec={
        "pod_selector": {"match_labels": {"app": "addressbook-db"}},
        "policy_types": ["Ingress", "Egress"],
        "ingress": [
            {
                "from_": [
                    {
                        "pod_selector": {
                            "match_expressions": [
                                {"key": "app", "operator": "In", "values": ["addressbook", "addressbook-migrate"]}
                            ]
                        }
                    },
                    {"namespace_selector": {"match_labels": {"addressbook/platform": space}}},
                ],
                "ports": [{"port": 5432, "protocol": "TCP"}],
            }
        ],
        "egress": [],
    },
    opts=on_cluster,
)
answers = {"exec_": {"command": ["pg_isready", "-U", "demouser", "-d", "demo", "-h", "127.0.0.1"]}}
database = k8s.apps.v1.StatefulSet(
    "database",
    metadata={**database_metadata, "annotations": {"pulumi.com/timeoutSeconds": "120"}},
    spec={
        "service_name": "addressbook-db",
        "replicas": 1,
        "selector": {"match_labels": {"app": "addressbook-db"}},
        "template": {
            "metadata": {"labels": labels("addressbook-db")},
            "spec": {
                "containers": [
                    {
                        "name": "postgres",
                        "image": "postgres:15-bookworm",
                        "args": ["-c", "max_connections=250"],
                        "env": [
                            {"name": "POSTGRES_DB", "value": "demo"},
                            {"name": "POSTGRES_USER", "value": "demouser"},
                            {"name": "POSTGRES_PASSWORD_FILE", "value": "/run/secrets/postgres/password"},
                            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
                        ],
                        "ports": [{"name": "postgres", "container_port": 5432}],
                        "startup_probe": {**answers, "period_seconds": 1, "failure_threshold": 120},
                        "readiness_probe": {**answers, "period_seconds": 2, "timeout_seconds": 5},
                        "liveness_probe": {
                            **answers,
                            "period_seconds": 10,
                            "timeout_seconds": 5,
                            "failure_threshold": 6,
                        },
                        "resources": {
                            "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "128Mi"},
                            "limits": {"memory": "512Mi", "ephemeral-storage": "128Mi"},
                        },
                        "volume_mounts": [
                            {"name": "data", "mount_path": "/var/lib/postgresql/data"},
                            {"name": "password", "mount_path": "/run/secrets/postgres", "read_only": True},
                            {"name": "run", "mount_path": "/var/run/postgresql"},
                            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 inside the container
                        ],
                        "security_context": RESTRICTED,
                    }
                ],
                "volumes": [
                    {"name": "data", "persistent_volume_claim": {"claim_name": claim.metadata["name"]}},
                    {
                        "name": "password",
                        "secret": {"secret_name": database_secret.metadata["name"], "default_mode": 0o440},
                    },
                    {"name": "run", "empty_dir": {"size_limit": "128Mi"}},
                    {"name": "tmp", "empty_dir": {"size_limit": "128Mi"}},
                ],
                "termination_grace_period_seconds": 30,
                "service_account_name": "default",
                "automount_service_account_token": False,
                "enable_service_links": False,
                "security_context": pod_user(999),
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[database_policy]),
)

# --- image and settings -------------------------------------------------------------------------------
image = docker.Image(
    "source",
    image_name=f"{REGISTRY}/addressbook:flat",
    build={
        "context": CONTEXT,
        "dockerfile": f"{CONTEXT}/Dockerfile",
        "platform": "linux/amd64",
        "args": {"REVISION": "", "VERSION": "flat"},
    },
)
plain = {"NODE_ENV": "production", "PORT": "3000", "METRICS_PORT": "9464"}
content = hashlib.sha256(json.dumps(sorted(plain.items())).encode()).hexdigest()[:10]
settings = k8s.core.v1.ConfigMap(
    f"addressbook-stable-config-{content}",
    metadata={
        "name": f"addressbook-stable-config-{content}",
        "namespace": space,
        "labels": labels("addressbook", "stable"),
    },
    data=plain,
    immutable=True,
    opts=on_cluster,
)
connection = {
    "DB_HOST": pulumi.Output.all(space, database.id).apply(lambda known: f"addressbook-db.{known[0]}.svc"),
    "DB_PORT": "5432",
    "DB_SCHEMA": "demo",
    "DB_USER": "demouser",
    "DB_PASSWORD": password.result,
    "DB_SSL": "false",
}
parameters = k8s.core.v1.Secret(
    "db-params",
    metadata={"name": "db-params", "namespace": space, "labels": labels("addressbook")},
    data={key: encoded(value) for key, value in connection.items()},
    opts=on_cluster,
)
fingerprint_key = random.RandomPassword("fingerprint-key", length=32)
fingerprint = pulumi.Output.unsecret(
    pulumi.Output.all(fingerprint_key.result, pulumi.Output.all(**connection)).apply(
        lambda known: keyed_hash(known[0], known[1])
    )
)
env_from = [
    {"secret_ref": {"name": parameters.metadata["name"]}},
    {"config_map_ref": {"name": settings.metadata["name"]}},
]
DISK = "256Mi"
size = {
    "requests": {"cpu": "50m", "memory": "96Mi", "ephemeral-storage": DISK},
    "limits": {"memory": "256Mi", "ephemeral-storage": DISK},
}
scratch = {"volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}]}  # noqa: S108 inside the container

# --- network ----------------------------------------------------------------------------------------
policy = k8s.networking.v1.NetworkPolicy(
    "network-policy",
    metadata={"name": "addressbook", "namespace": space, "labels": labels("addressbook")},
    spec={
        "pod_selector": {
            "match_expressions": [{"key": "app", "operator": "In", "values": ["addressbook", "addressbook-migrate"]}]
        },
        "policy_types": ["Ingress", "Egress"],
        "ingress": [
            {"ports": [{"port": port, "protocol": "TCP"} for port in ("http", 3000)]},
            {
                "from_": [{"pod_selector": {}}],
                "ports": [{"port": port, "protocol": "TCP"} for port in ("metrics", 9464)],
            },
        ],
        "egress": [
            {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]},
            {"ports": [{"port": 5432, "protocol": "TCP"}]},
        ],
    },
    opts=on_cluster,
)
k8s.networking.v1.NetworkPolicy(
    "default-deny",
    metadata={"name": "default-deny", "namespace": space, "labels": labels("addressbook")},
    spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[policy]),
)

# --- release --------------------------------------------------------------------------------------------
migration_settings = k8s.core.v1.Secret(
    "addressbook-migrate-source",
    metadata={"namespace": space, "labels": labels("addressbook-migrate")},
    data={key: encoded(value) for key, value in plain.items()},
    opts=on_cluster,
)
migration = k8s.batch.v1.Job(
    "addressbook-migrate-source",
    metadata={
        "namespace": space,
        "labels": labels("addressbook-migrate"),
        "annotations": {"pulumi.com/replaceUnready": "true", **TIMEOUT},
    },
    spec={
        "backoff_limit": 2,
        "active_deadline_seconds": 120,
        "template": {
            "metadata": {"labels": labels("addressbook-migrate")},
            "spec": {
                "containers": [
                    {
                        "name": "migrate",
                        "image": image.repo_digest,
                        "args": ["migrate"],
                        "command": ["addressbook"],
                        "env_from": [
                            {"secret_ref": {"name": parameters.metadata["name"]}},
                            {"secret_ref": {"name": migration_settings.metadata.apply(lambda made: made.name or "")}},
                        ],
                        "resources": size,
                        "security_context": RESTRICTED,
                        **scratch,
                    }
                ],
                "restart_policy": "Never",
                "volumes": [{"name": "tmp", "empty_dir": {"size_limit": DISK}}],
                "service_account_name": "default",
                "automount_service_account_token": False,
                "enable_service_links": False,
                "security_context": pod_user(10001),
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[policy]),
)
alive = {"http_get": {"path": "/live", "port": "http"}}
ready = {"http_get": {"path": "/ready", "port": "http"}}
stable = k8s.apps.v1.Deployment(
    "addressbook-stable",
    metadata={
        "name": "addressbook-stable",
        "namespace": space,
        "labels": labels("addressbook", "stable"),
        "annotations": TIMEOUT,
    },
    spec={
        "replicas": 2,
        "selector": {"match_labels": {"app": "addressbook", "track": "stable"}},
        "progress_deadline_seconds": 120,
        "revision_history_limit": 3,
        "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": "25%", "max_unavailable": 0}},
        "template": {
            "metadata": {
                "labels": labels("addressbook", "stable"),
                "annotations": {"addressbook/settings-fingerprint": fingerprint},
            },
            "spec": {
                "containers": [
                    {
                        "name": "addressbook",
                        "image": image.repo_digest,
                        "ports": [
                            {"name": "http", "container_port": 3000},
                            {"name": "metrics", "container_port": 9464},
                        ],
                        "env_from": env_from,
                        "resources": size,
                        "startup_probe": {**alive, "period_seconds": 1, "failure_threshold": 120},
                        "liveness_probe": {**alive, "period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 3},
                        "readiness_probe": {**ready, "period_seconds": 2, "timeout_seconds": 5, "failure_threshold": 3},
                        "lifecycle": {"pre_stop": {"sleep": {"seconds": 5}}},
                        "security_context": RESTRICTED,
                        **scratch,
                    }
                ],
                "volumes": [{"name": "tmp", "empty_dir": {"size_limit": DISK}}],
                "termination_grace_period_seconds": 25,
                "topology_spread_constraints": [
                    {
                        "max_skew": 1,
                        "topology_key": "kubernetes.io/hostname",
                        "when_unsatisfiable": "ScheduleAnyway",
                        "label_selector": {"match_labels": {"app": "addressbook", "track": "stable"}},
                        "match_label_keys": ["pod-template-hash"],
                    }
                ],
                "service_account_name": "default",
                "automount_service_account_token": False,
                "enable_service_links": False,
                "security_context": pod_user(10001),
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[policy, migration]),
)
k8s.core.v1.Service(
    "addressbook-stable",
    metadata={
        "name": "addressbook-stable",
        "namespace": space,
        "labels": labels("addressbook", "stable"),
        "annotations": {"pulumi.com/skipAwait": "true"},
    },
    spec={
        "selector": {"app": "addressbook", "track": "stable"},
        "ports": [
            {"name": "http", "port": 80, "target_port": "http"},
            {"name": "metrics", "port": 9464, "target_port": "metrics"},
        ],
    },
    opts=on_cluster,
)
k8s.policy.v1.PodDisruptionBudget(
    "disruption-budget",
    metadata={"name": "addressbook", "namespace": space, "labels": labels("addressbook")},
    spec={
        "max_unavailable": 1,
        "unhealthy_pod_eviction_policy": "AlwaysAllow",
        "selector": {"match_labels": {"app": "addressbook"}},
    },
    opts=on_cluster,
)
public = k8s.core.v1.Service(
    "public",
    metadata={
        "name": "addressbook-lb",
        "namespace": space,
        "labels": labels("addressbook"),
        "annotations": {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress}"},
    },
    spec={
        "type": "LoadBalancer",
        "selector": {"app": "addressbook"},
        "ports": [{"name": "http", "port": 80, "target_port": "http"}],
    },
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[stable]),
)
pulumi.export("namespace", space)
pulumi.export("url", pulumi.Output.concat("http://", public.status["load_balancer"]["ingress"][0]["ip"]))
