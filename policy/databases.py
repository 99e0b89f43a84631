"""Databases are reachable from the private network only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policy.rules import Resource, at, check_types, is_set, list_at, mapping_at

#: Address ranges that are not routed on the internet (RFC 1918, RFC 6598, RFC 4193).
PRIVATE = [
    ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
ALL_PROTOCOLS = ("-1", "all")
DO_CLUSTER = "digitalocean:index/databaseCluster:DatabaseCluster"
DO_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"


def is_private(block: str) -> bool:
    """Return whether an address, or every address of a range (CIDR), is private."""
    try:
        network = ip_network(block, strict=False)
    except ValueError:
        return False
    return any(_within(network, private) for private in PRIVATE)


def _within(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)


def _public(blocks: Sequence[Any]) -> list[str]:
    return [str(block) for block in blocks if block and not is_private(str(block))]


def _digitalocean_network(database: Resource) -> str | None:
    if is_set(database.props, "privateNetworkUuid"):
        return None
    return "the database is in the region's default network: set privateNetworkUuid to the stack's VPC"


def _digitalocean_firewall(firewall: Resource) -> str | None:
    rules = [rule for rule in list_at(firewall.props, "rules") if rule.get("type") == "ip_addr"]
    public = _public([rule.get("value") for rule in rules])
    if not public:
        return None
    return f"the database's firewall admits {', '.join(public)}: admit only the cluster (a rule of type `k8s`)"


def _cloud_sql(database: Resource) -> str | None:
    ip = at(database.props, "settings", "ipConfiguration")
    if at(ip, "ipv4Enabled") is not False:
        return "the database has a public address: set settings.ipConfiguration.ipv4Enabled to false"
    public = _public([each.get("value") for each in list_at(ip, "authorizedNetworks")])
    if public:
        return f"the database admits {', '.join(public)}: remove them from settings.ipConfiguration.authorizedNetworks"
    if not is_set(ip, "privateNetwork") and not at(ip, "pscConfigs"):
        return "the database has no private address: set settings.ipConfiguration.privateNetwork to the stack's VPC"
    return None


def _rds(database: Resource) -> str | None:
    if not database.props.get("publiclyAccessible"):
        return None
    return "the database has a public address: set publiclyAccessible to false"


def _covers(rule: Any, ports: Sequence[Any]) -> list[int]:
    """Return the database ports that a security group's rule opens."""
    protocol = rule.get("protocol") if is_set(rule, "protocol") else rule.get("ipProtocol")
    if str(protocol) in ALL_PROTOCOLS:
        return [int(port) for port in ports]
    first, last = rule.get("fromPort") or 0, rule.get("toPort") or 0
    return [int(port) for port in ports if str(protocol) in ("tcp", "6") and first <= port <= last]


def _open_rules(group: Resource) -> Iterator[tuple[Any, list[str]]]:
    """Yield the rules of a security group, or of one rule resource, with the public ranges that they admit."""
    props = group.props
    if group.resource_type == "aws:ec2/securityGroup:SecurityGroup":
        rules = list_at(props, "ingress")
    elif group.resource_type == "aws:ec2/securityGroupRule:SecurityGroupRule" and props.get("type") != "ingress":
        rules = []
    else:
        rules = [props]
    for rule in rules:
        blocks = [*list_at(rule, "cidrBlocks"), *list_at(rule, "ipv6CidrBlocks")]
        blocks += [rule.get(key) for key in ("cidrIpv4", "cidrIpv6") if is_set(rule, key)]
        if public := _public(blocks):
            yield rule, public


def _security_group(group: Resource) -> str | None:
    for rule, public in _open_rules(group):
        if ports := _covers(rule, group.get_config().get("ports", [])):
            return (
                f"the rule lets {', '.join(public)} connect to database port {', '.join(map(str, ports))}: admit the"
                " security group of the nodes (referencedSecurityGroupId) instead of addresses"
            )
    return None


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
                "aws:ec2/securityGroup:SecurityGroup": [_security_group],
                "aws:ec2/securityGroupRule:SecurityGroupRule": [_security_group],
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": [_security_group],
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
