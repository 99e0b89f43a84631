"""Name and address of a release's Google Cloud load balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_gcp as gcp

from components.component import Component
from contract.platform import Publish

#: Seconds for which resolvers may keep the address, so that a new load balancer is found soon.
TTL_SECONDS = 300


class StaticAddress(Component):
    """A reserved address, which the load balancer gets by its name, also when the Service is made again."""

    annotations: Mapping[str, pulumi.Input[str]]
    #: The address itself.
    address: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        address: str,
        region: str,
        labels: dict[str, str],
        services: Sequence[pulumi.Input[pulumi.Resource]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gcp:StaticAddress", name, opts)
        reserved = gcp.compute.Address(
            "entrance",
            name=address,
            region=region,
            address_type="EXTERNAL",
            labels=labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=services),
        )
        self.annotations = {"networking.gke.io/load-balancer-ip-addresses": reserved.name}
        self.address = reserved.address
        self.register_outputs({"address": reserved.address})


def record_in(zone: str, hostname: str, reserved: pulumi.Output[str] | None = None, project: str = "") -> Publish:
    """Return the function that points a name in a Cloud DNS zone (its name in the project) at the load balancer.

    ``reserved`` is its address, if it has a reserved one: a Service may show its earlier address for a while.
    ``project`` has the zone; "" is the provider's own.
    """

    def publish(address: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
        gcp.dns.RecordSet(
            "hostname",
            project=project or None,
            managed_zone=zone,
            name=f"{hostname}.",
            type="A",
            ttl=TTL_SECONDS,
            rrdatas=[address if reserved is None else reserved],
            opts=opts,
        )

    return publish
