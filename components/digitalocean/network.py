"""The private network that the cluster's nodes and the database share."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component

#: A VPC can be deleted once the last trace of its members is gone, which lags behind their own deletion.
DELETE_TIMEOUT = "15m"


@dataclass(frozen=True)
class NetworkArgs:
    """``name`` is unique in the account; the address range is the provider's choice, so that it overlaps no other."""

    name: str
    region: str


class Network(Component):
    """A VPC. Outputs ``vpc``, its id (a UUID). VPCs take no tags; the description says whose it is."""

    vpc: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("digitalocean:Network", name, opts)
        network = digitalocean.Vpc(
            "network",
            name=args.name,
            region=args.region,
            description=f"Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(delete=DELETE_TIMEOUT)),
        )
        self.vpc = network.id
        self.register_outputs({"vpc": self.vpc})
