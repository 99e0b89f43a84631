"""The network: public subnets for load balancers, private ones for nodes and database."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.invokes import or_explain

#: Availability zones used; EKS and RDS ask for two.
ZONES = 2
#: Zones that EKS has no control planes in, by id (EKS user guide, VPC and subnet requirements).
ZONES_WITHOUT_EKS = ["use1-az3", "usw1-az2", "cac1-az3"]
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class NetworkArgs:
    """``cluster`` is the name of the cluster whose load balancers find their subnets by tag.

    ``address_range``: an IPv4 CIDR block of prefix length 16 to 20. ``nat_per_zone``: an outage of one zone then
    leaves the other its way out.
    """

    cluster: str
    address_range: str
    nat_per_zone: bool


@dataclass(frozen=True)
class Ranges:
    """Address ranges of the subnets, one a zone: half of the block is private, an eighth held for public ones."""

    public: list[str]
    private: list[str]


class Network(Component):
    """A VPC over two zones whose nodes have no public address.

    Makes the VPC, in each zone a public and a private subnet with their routes, an internet gateway, and a NAT gateway
    with a fixed address (or one a zone). Outputs ``vpc`` (its id) and ``private_subnets`` (their ids).
    """

    vpc: pulumi.Output[str]
    private_subnets: list[pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:Network", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            "network",
            cidr_block=args.address_range,
            # Both are what makes the database's and the cluster's private names resolve.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._named("network"),
            opts=self._options,
        )
        self.vpc = vpc.id
        ranges = subnet_ranges(args.address_range)
        zones = self._zones()
        public = self._subnets("public", ranges.public, zones, "kubernetes.io/role/elb")
        private = self._subnets("private", ranges.private, zones, "kubernetes.io/role/internal-elb")
        gateway = aws.ec2.InternetGateway("internet", vpc_id=self.vpc, tags=self._named("internet"), opts=self._options)
        outward = self._routes("public", {"cidr_block": ANYWHERE, "gateway_id": gateway.id})
        for number, subnet in enumerate(public, start=1):
            self._association(f"public-{number}", subnet, outward)
        nats = [
            self._nat(number, subnet, gateway)
            for number, subnet in enumerate(public if args.nat_per_zone else public[:1], start=1)
        ]
        for number, subnet in enumerate(private, start=1):
            nat = nats[(number - 1) % len(nats)]
            routes = self._routes(f"private-{number}", {"cidr_block": ANYWHERE, "nat_gateway_id": nat.id})
            self._association(f"private-{number}", subnet, routes)
        self.private_subnets = [subnet.id for subnet in private]
        self.register_outputs({"vpc": self.vpc, "privateSubnets": self.private_subnets})

    def _zones(self) -> list[pulumi.Output[str]]:
        """Names of the zones, whatever their state is now: a zone in trouble must not move a subnet."""
        found = or_explain(
            aws.get_availability_zones_output(
                filters=[{"name": "zone-type", "values": ["availability-zone"]}],
                exclude_zone_ids=ZONES_WITHOUT_EKS,
                opts=pulumi.InvokeOutputOptions(parent=self),
            ),
            "availability zones of the region",
            "the caller needs the right ec2:DescribeAvailabilityZones",
        )
        names = pulumi.Output.all(found.names, found.region).apply(lambda known: first_zones(known[0], known[1]))
        return [names[at] for at in range(ZONES)]

    def _subnets(
        self, kind: str, ranges: list[str], zones: list[pulumi.Output[str]], role: str
    ) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{kind}-{number}",
                vpc_id=self.vpc,
                cidr_block=block,
                availability_zone=zone,
                tags={
                    **self._named(f"{kind}-{number}"),
                    # Load balancers look for both (EKS user guide, subnet requirements of load balancers).
                    role: "1",
                    f"kubernetes.io/cluster/{self._args.cluster}": "shared",
                },
                # A region that gets a new zone, first in the list, moves nothing.
                opts=pulumi.ResourceOptions.merge(
                    self._options, pulumi.ResourceOptions(ignore_changes=["availability_zone"])
                ),
            )
            for number, (block, zone) in enumerate(zip(ranges, zones, strict=True), start=1)
        ]

    def _nat(self, number: int, subnet: aws.ec2.Subnet, gateway: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        # Neither an elastic address nor a NAT gateway works in a VPC without the gateway.
        after = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=[gateway]))
        address = aws.ec2.Eip(f"nat-{number}", domain="vpc", tags=self._named(f"nat-{number}"), opts=after)
        return aws.ec2.NatGateway(
            f"nat-{number}",
            subnet_id=subnet.id,
            allocation_id=address.allocation_id,
            tags=self._named(f"nat-{number}"),
            opts=after,
        )

    def _routes(self, name: str, route: aws.ec2.RouteTableRouteArgsDict) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(name, vpc_id=self.vpc, routes=[route], tags=self._named(name), opts=self._options)

    def _association(self, name: str, subnet: aws.ec2.Subnet, routes: aws.ec2.RouteTable) -> None:
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=routes.id, opts=self._options)

    def _named(self, name: str) -> dict[str, str]:
        return {"Name": f"{self._args.cluster}-{name}"}


def first_zones(names: Sequence[str], region: str) -> list[str]:
    """The zones that subnets are in. Raises pulumi.RunError where the region has too few."""
    if len(names) < ZONES:
        raise pulumi.RunError(
            f"stack `{pulumi.get_stack()}`: cluster and database need {ZONES} zones, and of those that have EKS, region"
            f" {region} gives this account {', '.join(names) or 'none'}: choose another region for the stack"
        )
    return sorted(names)[:ZONES]


def subnet_ranges(address_range: str) -> Ranges:
    """Ranges of the subnets within the VPC's; private ones are large, since every pod has an address of its own."""
    quarters = list(ipaddress.IPv4Network(address_range).subnets(prefixlen_diff=2))
    public = list(quarters[0].subnets(prefixlen_diff=4))
    return Ranges([str(block) for block in public[:ZONES]], [str(block) for block in quarters[1 : 1 + ZONES]])
