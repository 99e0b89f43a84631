"""Databases are reachable from the private network only."""

from __future__ import annotations

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policy import firewalls
from policy.firewalls import public
from policy.rules import Resource, at, check_types, is_set, list_at, mapping_at

DO_CLUSTER = "digitalocean:index/databaseCluster:DatabaseCluster"
DO_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"


def _digitalocean_network(database: Resource) -> str | None:
    if is_set(database.props, "privateNetworkUuid"):
        return None
    return "the database is in the region's default network: set privateNetworkUuid to the stack's VPC"


def _digitalocean_firewall(firewall: Resource) -> str | None:
    rules = [rule for rule in list_at(firewall.props, "rules") if rule.get("type") == "ip_addr"]
    admitted = public([rule.get("value") for rule in rules])
    if not admitted:
        return None
    return f"the database's firewall admits {', '.join(admitted)}: admit only the cluster (a rule of type `k8s`)"


def _cloud_sql(database: Resource) -> str | None:
    ip = at(database.props, "settings", "ipConfiguration")
    if at(ip, "ipv4Enabled") is not False:
        return "the database has a public address: set settings.ipConfiguration.ipv4Enabled to false"
    admitted = public([each.get("value") for each in list_at(ip, "authorizedNetworks")])
    if admitted:
        return (
            f"the database admits {', '.join(admitted)}: remove them from settings.ipConfiguration.authorizedNetworks"
        )
    if not is_set(ip, "privateNetwork") and not at(ip, "pscConfigs"):
        return "the database has no private address: set settings.ipConfiguration.privateNetwork to the stack's VPC"
    return None


def _rds(database: Resource) -> str | None:
    if not database.props.get("publiclyAccessible"):
        return None
    return "the database has a public address: set publiclyAccessible to false"


def _service(service: Resource) -> str | None:
    spec = mapping_at(service.props, "spec")
    if spec.get("type") not in ("LoadBalancer", "NodePort") and not spec.get("externalIPs"):
        return None
    wanted = {int(port) for port in service.get_config().get("ports", [])}
    ports = list_at(spec, "ports")
    opened = {port.get("port") for port in ports} | {port.get("targetPort") for port in ports}
    if not opened & wanted and "postgres" not in opened:
        return None
    return "the Service makes a database public: set spec.type to ClusterIP and remove externalIPs"


def _guarded(stack: StackValidationArgs, report: ReportViolation) -> None:
    """Report databases without firewall rules, which accept connections from anywhere (DigitalOcean documentation)."""
    guarded = {
        dependency.urn
        for firewall in stack.resources
        if firewall.resource_type == DO_FIREWALL
        for dependency in firewall.property_dependencies.get("clusterId", [])
    }
    for database in stack.resources:
        if database.resource_type == DO_CLUSTER and database.urn not in guarded:
            report(
                f"`{database.name}` has no DatabaseFirewall, so it accepts connections from anywhere: add one for its"
                " clusterId, with a rule of type `k8s` for the cluster",
                database.urn,
            )


POLICIES = [
    ResourceValidationPolicy(
        name="no-public-database",
        description="Databases are reachable from the private network only.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={"ports": {"type": "array", "items": {"type": "integer"}}}, required=["ports"]
        ),
        validate=check_types(
            {
                DO_CLUSTER: [_digitalocean_network],
                "digitalocean:index/databaseReplica:DatabaseReplica": [_digitalocean_network],
                DO_FIREWALL: [_digitalocean_firewall],
                "gcp:sql/databaseInstance:DatabaseInstance": [_cloud_sql],
                "aws:rds/instance:Instance": [_rds],
                "aws:rds/clusterInstance:ClusterInstance": [_rds],
                **{kind: [firewalls.check] for kind in firewalls.OPENINGS},
                "kubernetes:core/v1:Service": [_service],
            }
        ),
    ),
    StackValidationPolicy(
        name="database-firewall",
        description="Every DigitalOcean database has a firewall.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_guarded,
    ),
]
