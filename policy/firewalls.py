"""What the clouds' firewalls let in, and whether that opens a database's port to public addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from policy.rules import Resource, at, is_set, list_at, mapping_at

#: Address ranges that are not routed on the internet (RFC 1918, RFC 6598, RFC 4193).
PRIVATE = [
    ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
ANYWHERE = "0.0.0.0/0"
ALL_PROTOCOLS, TCP = ("-1", "all"), ("tcp", "6")
ALL_PORTS = (0, 65535)


@dataclass(frozen=True)
class Opening:
    """A rule that lets connections in."""

    protocol: str
    #: First and last port of each range.
    ports: Sequence[tuple[int, int]]
    #: Addresses and ranges (CIDR) that may connect.
    sources: Sequence[str]
    #: Whether lists of addresses that are kept in other resources may connect as well.
    lists: bool = False

    def covers(self, port: int) -> bool:
        """Return whether TCP connections to the port come in."""
        if self.protocol in ALL_PROTOCOLS:
            return True
        return self.protocol in TCP and any(first <= port <= last for first, last in self.ports)


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


def public(blocks: Sequence[Any]) -> list[str]:
    """Return the addresses and ranges that are not private."""
    return [str(block) for block in blocks if block and not is_private(str(block))]


def check(firewall: Resource) -> str | None:
    """Return what is wrong if a firewall opens a port of policy no-public-database to public addresses."""
    wanted = [int(port) for port in firewall.get_config().get("ports", [])]
    for opening in OPENINGS[firewall.resource_type](firewall):
        opened = ", ".join(str(port) for port in wanted if opening.covers(port))
        if opened and (sources := public(opening.sources)):
            return (
                f"the rule lets {', '.join(sources)} connect to database port {opened}: admit the nodes only, on AWS"
                " by their security group (referencedSecurityGroupId)"
            )
        if opened and opening.lists:
            return (
                f"the rule lets a list of addresses connect to database port {opened}, and the list may contain public"
                " ones: admit the nodes only, on AWS by their security group (referencedSecurityGroupId)"
            )
    return None


def _security_group(group: Resource) -> Iterator[Opening]:
    for rule in list_at(group.props, "ingress"):
        yield _aws(rule)


def _security_group_rule(rule: Resource) -> Iterator[Opening]:
    if rule.props.get("type") == "ingress":
        yield _aws(rule.props)


def _ingress_rule(rule: Resource) -> Iterator[Opening]:
    yield _aws(rule.props)


def _aws(rule: Any) -> Opening:
    protocol = rule.get("protocol") if is_set(rule, "protocol") else rule.get("ipProtocol")
    sources = [*list_at(rule, "cidrBlocks"), *list_at(rule, "ipv6CidrBlocks")]
    sources += [rule.get(key) for key in ("cidrIpv4", "cidrIpv6") if is_set(rule, key)]
    return Opening(
        str(protocol),
        [(int(rule.get("fromPort") or 0), int(rule.get("toPort") or 0))],
        sources,
        lists=bool(list_at(rule, "prefixListIds")) or is_set(rule, "prefixListId"),
    )


def _gcp(firewall: Resource) -> Iterator[Opening]:
    props = firewall.props
    if props.get("direction") == "EGRESS" or props.get("disabled"):
        return
    # Without any source, a rule is for all (Compute Engine documentation, VPC firewall rules).
    named = any(is_set(props, key) for key in ("sourceRanges", "sourceTags", "sourceServiceAccounts"))
    sources = list_at(props, "sourceRanges") if named else [ANYWHERE]
    for allowed in list_at(props, "allows"):
        yield Opening(str(allowed.get("protocol")), _ranges(list_at(allowed, "ports")), sources)


def _gcp_policy_rule(rule: Resource) -> Iterator[Opening]:
    props, match = rule.props, mapping_at(rule.props, "match")
    if props.get("action") != "allow" or props.get("direction") != "INGRESS" or props.get("disabled"):
        return
    named = any(is_set(match, key) for key in list(match) if key.startswith("src"))
    sources = list_at(match, "srcIpRanges") if named else [ANYWHERE]
    for config in list_at(match, "layer4Configs"):
        yield Opening(
            str(config.get("ipProtocol")),
            _ranges(list_at(config, "ports")),
            sources,
            lists=bool(list_at(match, "srcAddressGroups")),
        )


def _digitalocean(firewall: Resource) -> Iterator[Opening]:
    for rule in list_at(firewall.props, "inboundRules"):
        if rule.get("action") != "deny":
            ports = [at(rule, "portRange")] if is_set(rule, "portRange") else []
            yield Opening(str(rule.get("protocol")), _ranges(ports), list_at(rule, "sourceAddresses"))


def _ranges(texts: Sequence[Any]) -> list[tuple[int, int]]:
    """Return ranges of ports such as `5432` or `5000-6000`; all of them if there is none, or `all` or `0`."""
    ranges: list[tuple[int, int]] = []
    for text in texts:
        first, _, last = str(text).partition("-")
        ranges.append(ALL_PORTS if str(text) in ("all", "0") else (int(first), int(last or first)))
    return ranges or [ALL_PORTS]


#: The types that are checked, and how to read them.
OPENINGS: Mapping[str, Callable[[Resource], Iterator[Opening]]] = {
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _security_group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _security_group_rule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress_rule,
    "gcp:compute/firewall:Firewall": _gcp,
    "gcp:compute/firewallPolicyRule:FirewallPolicyRule": _gcp_policy_rule,
    "gcp:compute/networkFirewallPolicyRule:NetworkFirewallPolicyRule": _gcp_policy_rule,
    "gcp:compute/regionNetworkFirewallPolicyRule:RegionNetworkFirewallPolicyRule": _gcp_policy_rule,
    "digitalocean:index/firewall:Firewall": _digitalocean,
}
