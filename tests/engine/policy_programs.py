"""Small programs that break the policy pack's rules, each resource one of them, and which."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """What the engine must report: the rule, and the name of the resource that breaks it."""

    rule: str
    resource: str


#: The Kubernetes provider is unknown in a preview, so it needs no cluster.
KUBERNETES = """
import copy
import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

unknown = random.RandomString("unknown", length=8).result
cluster = k8s.Provider("cluster", kubeconfig=unknown)
options = pulumi.ResourceOptions(provider=cluster)
LABELS = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/part-of": "shop"}
PROBE = {"httpGet": {"path": "/ready", "port": 3000}}
CONTAINER = {
    "name": "service",
    "image": "registry.example/shop@sha256:" + "a" * 64,
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    "readinessProbe": PROBE,
    "livenessProbe": PROBE,
    "securityContext": {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    },
}


def deployment(
    name, without=(), replicas=2, labels=LABELS, selector=None, after=(), namespace="shop", **changed
):
    container = {key: value for key, value in {**copy.deepcopy(CONTAINER), **changed}.items() if key not in without}
    chosen = selector or {"app": name}
    return k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": namespace, "labels": labels},
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": chosen},
            "template": {
                "metadata": {"labels": chosen},
                "spec": {
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [container],
                },
            },
        },
        opts=pulumi.ResourceOptions(provider=cluster, depends_on=[deny, *after]),
    )


inside = {"name": "all", "namespace": "shop"}
k8s.policy.v1.PodDisruptionBudget("budget", metadata=inside, spec={"selector": {}, "maxUnavailable": 1}, opts=options)
deny = k8s.networking.v1.NetworkPolicy(
    "deny", metadata=inside, spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, opts=options
)
good = deployment("good")
deployment("bare", namespace="bare")
k8s.rbac.v1.ClusterRole(
    "rights", metadata={"name": "all"}, rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}], opts=options
)
deployment("unknown-image", image=unknown)
deployment("by-tag", image="registry.example/shop:v2")
deployment("privileged", securityContext={**CONTAINER["securityContext"], "privileged": True})
deployment("writable", securityContext={**CONTAINER["securityContext"], "readOnlyRootFilesystem": False})
deployment("unlimited", without=["resources"])
deployment("unprobed", without=["livenessProbe"])
deployment("overlapping", selector={"app": "good"}, after=[good])
deployment("password", env=[{"name": "DB_PASSWORD", "value": "lovelace"}])
deployment("many", replicas=31)
deployment("unlabelled", labels={})
k8s.core.v1.Namespace("lax", metadata={"name": "lax"}, opts=options)
k8s.core.v1.ConfigMap(
    "settings", metadata={"name": "settings"}, data={"url": "postgres://ada:lovelace@db/demo"}, opts=options
)
k8s.core.v1.Service(
    "open-database", metadata={"name": "db"}, spec={"type": "LoadBalancer", "ports": [{"port": 5432}]}, opts=options
)
random.RandomString("marked", length=8, keepers={"password": pulumi.Output.secret("lovelace")})
random.RandomString("unmarked", length=8, keepers={"password": "lovelace"})
"""
KUBERNETES_VIOLATIONS = {
    Violation("images-by-digest", "by-tag"),
    Violation("restricted-pods", "privileged"),
    Violation("restricted-pods", "lax"),
    Violation("read-only-files", "writable"),
    Violation("named-rights", "rights"),
    Violation("disruption-budget", "bare"),
    Violation("network-policy", "bare"),
    Violation("container-limits", "unlimited"),
    Violation("container-probes", "unprobed"),
    Violation("disjoint-selectors", "overlapping"),
    Violation("no-secrets-in-environment", "password"),
    Violation("no-secrets-in-environment", "settings"),
    Violation("secrets-only-as-secrets", "settings"),
    Violation("no-public-database", "open-database"),
    Violation("secrets-only-as-secrets", "unmarked"),
}
KUBERNETES_ADVICE = {
    Violation("costs", "many"),
    Violation("tags", "unlabelled"),
    Violation("images-by-digest", "unknown-image"),
}

DIGITALOCEAN = """
import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_docker as docker

TAGS = ["pulumi-project:policy", "pulumi-stack:prod"]
kept = pulumi.ResourceOptions(protect=True)
network = digitalocean.Vpc("network", name="policy", region="fra1")


def database(name, opts=kept, **changed):
    given = dict(
        name=name, region="fra1", engine="pg", version="15", size="db-s-1vcpu-1gb", node_count=1, tags=TAGS,
        private_network_uuid=network.id,
    )
    return digitalocean.DatabaseCluster(name, **{**given, **changed}, opts=opts)


def guard(name, of, rule):
    digitalocean.DatabaseFirewall(name, cluster_id=of.id, rules=[rule])


guard("guard", database("good"), {"type": "tag", "value": "pulumi-stack:prod"})
guard("open", database("behind-open"), {"type": "ip_addr", "value": "0.0.0.0/0"})
guard("guard-2", database("unprotected", opts=None), {"type": "tag", "value": "pulumi-stack:prod"})
guard("guard-3", database("elsewhere", region="nyc3", private_network_uuid=None), {"type": "tag", "value": "x"})
guard("guard-4", database("large", size="db-s-16vcpu-64gb", tags=[]), {"type": "tag", "value": "x"})
database("unguarded")
docker.Image("built", image_name="registry.example/shop:v2", build={"context": ".", "platform": "linux/amd64"})
"""
DIGITALOCEAN_VIOLATIONS = {
    Violation("no-public-database", "open"),
    Violation("no-public-database", "elsewhere"),
    Violation("allowed-regions", "elsewhere"),
    Violation("database-firewall", "unguarded"),
    Violation("deletion-protection", "unprotected"),
    Violation("pinned-in-production", "built"),
}
DIGITALOCEAN_ADVICE = {Violation("costs", "large"), Violation("tags", "large")}

#: Public addresses are left to the unit tests: the simulation itself refuses them.
GCP = """
import pulumi
import pulumi_gcp as gcp

TAGS = {"pulumi-project": "policy", "pulumi-stack": "prod"}
NETWORK = "projects/simulated-project/global/networks/policy"


def database(name, region="europe-west3", protect=True, backups=True, **changed):
    address = {"ipv4_enabled": False, "private_network": NETWORK, "ssl_mode": "ENCRYPTED_ONLY"}
    gcp.sql.DatabaseInstance(
        name,
        region=region,
        database_version="POSTGRES_15",
        deletion_protection=protect,
        settings={
            "tier": "db-custom-1-3840",
            "edition": "ENTERPRISE",
            "ip_configuration": {**address, **changed},
            "backup_configuration": {"enabled": backups},
            "final_backup_config": {"enabled": protect, "retention_days": 30 if protect else None},
            "deletion_protection_enabled": protect,
            "user_labels": TAGS,
        },
        opts=pulumi.ResourceOptions(protect=protect),
    )


database("good")
database("in-the-clear", ssl_mode="ALLOW_UNENCRYPTED_AND_ENCRYPTED")
database("elsewhere", region="us-central1")
database("unprotected", protect=False)
database("unsaved", backups=False)
gcp.sql.User("plain", instance="good", name="ada", password="lovelace")
"""
GCP_VIOLATIONS = {
    Violation("database-backups", "unsaved"),
    Violation("encryption", "in-the-clear"),
    Violation("allowed-regions", "elsewhere"),
    Violation("deletion-protection", "unprotected"),
}

AWS = """
import pulumi
import pulumi_aws as aws

TAGS = {"pulumi-project": "policy", "pulumi-stack": "prod"}
provider = aws.Provider("frankfurt", region="eu-central-1", default_tags={"tags": TAGS})
elsewhere = aws.Provider("virginia", region="us-east-1", default_tags={"tags": TAGS})


def options(protect=False):
    return pulumi.ResourceOptions(provider=provider, protect=protect)


def database(name, protect=True, **changed):
    given = dict(
        identifier=name, engine="postgres", engine_version="15", instance_class="db.t4g.micro", allocated_storage=20,
        username="postgres", password=pulumi.Output.secret("lovelace-and-babbage"), storage_encrypted=True,
        publicly_accessible=False, deletion_protection=protect, skip_final_snapshot=not protect,
        final_snapshot_identifier=f"{name}-final", backup_retention_period=7, db_subnet_group_name="policy",
    )
    aws.rds.Instance(name, **{**given, **changed}, opts=options(protect))


database("good")
database("public", publicly_accessible=True)
database("unencrypted", storage_encrypted=False)
database("unprotected", protect=False)
database("large", instance_class="db.m7g.8xlarge")
database("unsaved", backup_retention_period=0)
aws.rds.ParameterGroup(
    "in-the-clear", family="postgres15", parameters=[{"name": "rds.force_ssl", "value": "0"}], opts=options()
)
aws.kms.Key("unrotated", description="a key", opts=options(protect=True))
aws.ecr.Repository("unsaid", name="shop", opts=options(protect=True))
group = aws.ec2.SecurityGroup("group", description="of a database", vpc_id="vpc-0123456789abcdef0", opts=options())
aws.vpc.SecurityGroupIngressRule(
    "open", security_group_id=group.id, ip_protocol="tcp", from_port=5432, to_port=5432, cidr_ipv4="0.0.0.0/0",
    opts=options(),
)
"""
AWS_VIOLATIONS = {
    Violation("database-backups", "unsaved"),
    Violation("registries", "unsaid"),
    Violation("allowed-regions", "virginia"),
    Violation("no-public-database", "public"),
    Violation("no-public-database", "open"),
    Violation("encryption", "unencrypted"),
    Violation("encryption", "in-the-clear"),
    Violation("encryption", "unrotated"),
    Violation("encryption", "unsaid"),
    Violation("deletion-protection", "unprotected"),
}
