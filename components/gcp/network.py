"""The private network of cluster and database, with NAT to the internet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_gcp as gcp

from components.component import Component

#: Prefix length of the network's range.
NETWORK_PREFIX = 16
PODS_RANGE = "pods"
SERVICES_RANGE = "services"


@dataclass(frozen=True)
class Ranges:
    """The parts of the network's range, a /16.

    Each node takes a /26 of ``pods`` (GKE documentation, Autopilot), so there is room for 512 nodes. Cloud SQL takes a
    /24 of ``managed_services``.
    """

    whole: IPv4Network

    @property
    def nodes(self) -> IPv4Network:
        """Range of the subnetwork."""
        return self._part(0)

    @property
    def services(self) -> IPv4Network:
        """Range of Kubernetes Services."""
        return self._part(1)

    @property
    def managed_services(self) -> IPv4Network:
        """Range of services that Google runs: the database."""
        return self._part(2)

    @property
    def pods(self) -> IPv4Network:
        """Range of the pods, the upper half."""
        return list(self.whole.subnets(new_prefix=17))[1]

    def _part(self, index: int) -> IPv4Network:
        return list(self.whole.subnets(new_prefix=20))[index]


@dataclass(frozen=True)
class ExistingNetwork:
    """A VPC that the stack uses and does not manage. It has a NAT gateway and private services access already."""

    #: Id of the VPC.
    id: str
    #: Id of the subnetwork.
    subnetwork: str
    #: Names of the subnetwork's secondary ranges.
    pods_range: str
    services_range: str

    @property
    def nat(self) -> list[pulumi.Resource]:
        """What nodes wait for."""
        return []

    @property
    def private_services(self) -> list[pulumi.Resource]:
        """What managed services wait for."""
        return []


@dataclass(frozen=True)
class NetworkArgs:
    """Name and address ranges of the network."""

    name: str
    region: str
    ranges: Ranges
    labels: dict[str, str]
    #: Enabled APIs to wait for.
    services: Sequence[pulumi.Input[pulumi.Resource]]


class Network(Component):
    """A VPC with one subnetwork, a NAT gateway for nodes without public addresses, and private services access."""

    #: Id of the VPC.
    id: pulumi.Output[str]
    #: Id of the subnetwork.
    subnetwork: pulumi.Output[str]
    #: Nodes need it to reach the internet.
    nat: list[pulumi.Resource]
    #: A managed service needs it to get a private address.
    private_services: list[pulumi.Resource]
    #: Names of the subnetwork's secondary ranges.
    pods_range = PODS_RANGE
    services_range = SERVICES_RANGE

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:Network", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        network = gcp.compute.Network(
            "network",
            name=args.name,
            description=f"Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.services),
        )
        self.id = network.id
        subnetwork = self._subnetwork(network)
        self.subnetwork = subnetwork.id
        self.nat = [self._nat(network, subnetwork)]
        self.private_services = [self._private_services(network)]
        self.register_outputs({"id": self.id, "subnetwork": self.subnetwork})

    def _subnetwork(self, network: gcp.compute.Network) -> gcp.compute.Subnetwork:
        return gcp.compute.Subnetwork(
            "subnetwork",
            name=self._args.name,
            region=self._args.region,
            network=network.id,
            ip_cidr_range=str(self._args.ranges.nodes),
            secondary_ip_ranges=[
                {"range_name": PODS_RANGE, "ip_cidr_range": str(self._args.ranges.pods)},
                {"range_name": SERVICES_RANGE, "ip_cidr_range": str(self._args.ranges.services)},
            ],
            # Nodes reach Google's APIs, the image registry included, without the NAT gateway.
            private_ip_google_access=True,
            opts=self._options,
        )

    def _nat(self, network: gcp.compute.Network, subnetwork: gcp.compute.Subnetwork) -> gcp.compute.RouterNat:
        router = gcp.compute.Router(
            "router", name=self._args.name, region=self._args.region, network=network.id, opts=self._options
        )
        return gcp.compute.RouterNat(
            "nat",
            name=self._args.name,
            region=self._args.region,
            router=router.name,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[{"name": subnetwork.id, "source_ip_ranges_to_nats": ["ALL_IP_RANGES"]}],
            log_config={"enable": True, "filter": "ERRORS_ONLY"},
            opts=self._options,
        )

    def _private_services(self, network: gcp.compute.Network) -> gcp.servicenetworking.Connection:
        addresses = self._args.ranges.managed_services
        reserved = gcp.compute.GlobalAddress(
            "managed-services",
            name=f"{self._args.name}-services",
            purpose="VPC_PEERING",
            address_type="INTERNAL",
            address=str(addresses.network_address),
            prefix_length=addresses.prefixlen,
            network=network.id,
            labels=self._args.labels,
            opts=self._options,
        )
        return gcp.servicenetworking.Connection(
            "managed-services",
            network=network.id,
            service="servicenetworking.googleapis.com",
            reserved_peering_ranges=[reserved.name],
            # Google remembers the connection of an earlier network of this name, and would refuse a second one.
            update_on_creation_fail=True,
            # Cloud SQL keeps the connection for days after its last instance is deleted, and refuses its deletion.
            # Removing the peering alone lets `destroy` delete the network.
            deletion_policy="REMOVE_PEERING",
            opts=self._options,
        )
