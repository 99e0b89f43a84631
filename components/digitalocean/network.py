"""The private network that the cluster's nodes and the database share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.digitalocean.live import LiveNetwork

#: A VPC can be deleted only some time after its last member is.
DELETE_TIMEOUT = "15m"


@dataclass(frozen=True)
class NetworkArgs:
    """Name and region of the network. The provider chooses an address range that overlaps no other."""

    #: Unique in the account.
    name: str
    region: str
    live: LiveNetwork


class Network(Component):
    """A VPC. VPCs have no tags, so its description names the stack.

    The first VPC of a region becomes its default, which DigitalOcean does not delete. `destroy` leaves such a network
    in the account, and the next `up` takes it over again.
    """

    #: Id of the VPC, a UUID.
    vpc: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: NetworkArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("digitalocean:Network", name, opts)
        network = digitalocean.Vpc(
            "network",
            name=args.name,
            region=args.region,
            description=f"Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            opts=pulumi.ResourceOptions(
                parent=self,
                custom_timeouts=pulumi.CustomTimeouts(delete=DELETE_TIMEOUT),
                depends_on=list(after),
                retain_on_delete=args.live.is_default,
                # No change if the state has it.
                import_=args.live.id if args.live.id and args.live.is_default else None,
            ),
        )
        self.vpc = network.id
        self.register_outputs({"vpc": self.vpc})
