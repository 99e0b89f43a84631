"""The network: public subnets for load balancers, private ones for nodes and database."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.invokes import ask, or_explain
from contract.errors import invalid_config

#: Number of availability zones. EKS and RDS need two.
ZONES = 2
#: Ids of zones without EKS control planes (EKS user guide, VPC and subnet requirements).
ZONES_WITHOUT_EKS = ["use1-az3", "usw1-az2", "cac1-az3"]
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class NetworkArgs:
    """Address range and redundancy of the network."""

    #: Name of the cluster. Its load balancers find the subnets by a tag with this name.
    cluster: str
    region: str
    #: IPv4 CIDR block with a prefix length of 16 to 20.
    address_range: str
    #: Whether each zone has its own NAT gateway, so that an outage in one leaves the other connected.
    nat_per_zone: bool


@dataclass(frozen=True)
class ExistingNetwork:
    """A VPC that the stack uses and does not manage."""

    #: Id of the VPC.
    vpc: str
    #: Ids of private subnets in two zones or more, with a way out to the internet.
    private_subnets: list[str]

    @property
    def resources(self) -> list[pulumi.Resource]:
        """What its users wait for."""
        return []


def existing_network(vpc: str, subnets: Sequence[str], opts: pulumi.InvokeOptions) -> ExistingNetwork:
    """Return the network, once the account has it. Raises pulumi.RunError if the subnets do not fit."""
    found = ask(
        lambda: aws.ec2.get_subnets(filters=[{"name": "vpc-id", "values": [vpc]}], opts=opts),
        f"subnets of {vpc}",
        "the caller needs the right ec2:DescribeSubnets",
    )
    if missing := [each for each in subnets if each not in found.ids]:
        raise invalid_config(
            [
                f"privateSubnets: {', '.join(missing)} is not in {vpc}, which has {', '.join(found.ids) or 'none'}"
                " (`aws ec2 describe-subnets` lists them)"
            ]
        )
    zones = {
        ask(
            lambda each=each: aws.ec2.get_subnet(id=each, opts=opts), f"subnet {each}", "check its id"
        ).availability_zone
        for each in subnets
    }
    if len(zones) < ZONES:
        raise invalid_config([f"privateSubnets: are all in {', '.join(zones)}; name one in each of {ZONES} zones"])
    return ExistingNetwork(vpc, list(subnets))


@dataclass(frozen=True)
class Ranges:
    """Address ranges of the subnets, one per zone. Private ones take half of the block, public ones a small part."""

    public: list[str]
    private: list[str]


class Network(Component):
    """A VPC over two zones whose nodes have no public addresses.

    Creates the VPC, a public and a private subnet with routes in each zone, an internet gateway, and a NAT gateway with
    a fixed address (or one per zone), and a gateway endpoint for S3.
    """

    #: Id of the VPC.
    vpc: pulumi.Output[str]
    #: Ids of the private subnets.
    private_subnets: list[pulumi.Output[str]]
    #: What its users wait for.
    resources: list[pulumi.Resource]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:Network", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            "network",
            cidr_block=args.address_range,
            # Both are needed to resolve the private names of database and cluster.
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
        public_routes = self._routes("public", {"cidr_block": ANYWHERE, "gateway_id": gateway.id})
        for number, subnet in enumerate(public, start=1):
            self._association(f"public-{number}", subnet, public_routes)
        nats = [
            self._nat(number, subnet, gateway)
            for number, subnet in enumerate(public if args.nat_per_zone else public[:1], start=1)
        ]
        private_routes: list[aws.ec2.RouteTable] = []
        for number, subnet in enumerate(private, start=1):
            nat = nats[(number - 1) % len(nats)]
            routes = self._routes(f"private-{number}", {"cidr_block": ANYWHERE, "nat_gateway_id": nat.id})
            self._association(f"private-{number}", subnet, routes)
            private_routes.append(routes)
        self._storage_endpoint(private_routes)
        self.private_subnets = [subnet.id for subnet in private]
        self.resources = [self]
        self.register_outputs({"vpc": self.vpc, "privateSubnets": self.private_subnets})

    def _zones(self) -> list[pulumi.Output[str]]:
        """Return the zones' names whatever their state: an outage must not move a subnet."""
        zones = or_explain(
            aws.get_availability_zones_output(
                filters=[{"name": "zone-type", "values": ["availability-zone"]}],
                exclude_zone_ids=ZONES_WITHOUT_EKS,
                opts=pulumi.InvokeOutputOptions(parent=self),
            ),
            "availability zones of the region",
            "the caller needs the right ec2:DescribeAvailabilityZones",
        )
        names = pulumi.Output.all(zones.names, zones.region).apply(lambda values: first_zones(*values))
        return [names[index] for index in range(ZONES)]

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
                    # Load balancers find subnets by these tags (EKS user guide, load balancer subnet requirements).
                    role: "1",
                    f"kubernetes.io/cluster/{self._args.cluster}": "shared",
                },
                # A zone that is new in the region must not move existing subnets.
                opts=pulumi.ResourceOptions.merge(
                    self._options, pulumi.ResourceOptions(ignore_changes=["availability_zone"])
                ),
            )
            for number, (block, zone) in enumerate(zip(ranges, zones, strict=True), start=1)
        ]

    def _nat(self, number: int, subnet: aws.ec2.Subnet, gateway: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        # Elastic addresses and NAT gateways need the VPC's internet gateway.
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

    def _storage_endpoint(self, routes: list[aws.ec2.RouteTable]) -> None:
        """Lead to S3, where ECR keeps the layers of images, without the NAT gateway, which charges per gigabyte."""
        aws.ec2.VpcEndpoint(
            "storage",
            vpc_id=self.vpc,
            service_name=f"com.amazonaws.{self._args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[each.id for each in routes],
            tags=self._named("storage"),
            opts=self._options,
        )

    def _named(self, name: str) -> dict[str, str]:
        return {"Name": f"{self._args.cluster}-{name}"}


def first_zones(names: Sequence[str], region: str) -> list[str]:
    """Return the zones for the subnets. Raises pulumi.RunError if the region has too few."""
    if len(names) < ZONES:
        raise pulumi.RunError(
            f"stack `{pulumi.get_stack()}`: cluster and database need {ZONES} zones with EKS, but region {region}"
            f" offers this account {', '.join(names) or 'none'}; choose another region for the stack"
        )
    return sorted(names)[:ZONES]


def subnet_ranges(address_range: str) -> Ranges:
    """Divide the VPC's range. Private subnets are large, because every pod has its own address."""
    quarters = list(ipaddress.IPv4Network(address_range).subnets(prefixlen_diff=2))
    public = list(quarters[0].subnets(prefixlen_diff=4))
    return Ranges([str(block) for block in public[:ZONES]], [str(block) for block in quarters[1 : 1 + ZONES]])
