"""Name, certificate and addresses of a release's Network Load Balancer."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.invokes import or_explain
from contract.platform import HTTPS_PORT, Publish

#: Prefix of the annotations that configure a Service's load balancer; docs/how-to/aws.md explains the choices.
LOAD_BALANCER = "service.beta.kubernetes.io/aws-load-balancer"
#: TLS 1.2 and 1.3 with forward secrecy, the policy that AWS recommends (ELB documentation, Security policies).
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


def load_balancer(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations of every Network Load Balancer of a stack with these tags."""
    return {
        f"{LOAD_BALANCER}-type": "nlb",
        # The AWS Load Balancer Controller and EKS Auto Mode, which an existing cluster may have, default to internal.
        f"{LOAD_BALANCER}-scheme": "internet-facing",
        f"{LOAD_BALANCER}-cross-zone-load-balancing-enabled": "true",
        # A dead node gets no new connections after 20 s instead of 90. For an NLB the thresholds must be equal.
        f"{LOAD_BALANCER}-healthcheck-interval": "10",
        f"{LOAD_BALANCER}-healthcheck-healthy-threshold": "2",
        f"{LOAD_BALANCER}-healthcheck-unhealthy-threshold": "2",
        f"{LOAD_BALANCER}-additional-resource-tags": ",".join(f"{key}={value}" for key, value in tags.items()),
    }


def tls(certificate: str) -> dict[str, str]:
    """Return the annotations that make the load balancer end TLS with a certificate (ARN); empty without one."""
    if not certificate:
        return {}
    return {
        f"{LOAD_BALANCER}-ssl-cert": certificate,
        f"{LOAD_BALANCER}-ssl-ports": str(HTTPS_PORT),
        f"{LOAD_BALANCER}-ssl-negotiation-policy": TLS_POLICY,
    }


def record_in(zone: str, hostname: str, provider: pulumi.ProviderResource) -> Publish:
    """Return the function that points a name in a Route 53 zone (id) at the load balancer.

    An alias follows the load balancer's addresses, costs nothing per request, and may be the zone's own name.
    """

    def publish(address: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
        balancers = or_explain(
            aws.lb.get_hosted_zone_id_output(
                load_balancer_type="network", opts=pulumi.InvokeOutputOptions(provider=provider)
            ),
            "zone of the region's load balancers",
            "update pulumi-aws, which lists them, or unset `dnsZone`",
        )
        aws.route53.Record(
            "hostname",
            zone_id=zone,
            name=hostname,
            type="A",
            aliases=[{"name": address, "zone_id": balancers.id, "evaluate_target_health": False}],
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=provider)),
        )

    return publish


class StaticAddresses(Component):
    """Elastic IP addresses for the load balancer, one for each of its subnets.

    The built-in controller assigns them to a new load balancer only.
    """

    annotations: Mapping[str, pulumi.Input[str]]

    def __init__(self, name: str, cluster: str, subnets: int, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:StaticAddresses", name, opts)
        addresses = [
            aws.ec2.Eip(
                f"entrance-{number}",
                domain="vpc",
                tags={"Name": f"{cluster}-entrance-{number}"},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for number in range(1, subnets + 1)
        ]
        allocations = pulumi.Output.all(*[each.allocation_id for each in addresses]).apply(",".join)
        self.annotations = {f"{LOAD_BALANCER}-eip-allocations": allocations}
        self.register_outputs({"addresses": [each.public_ip for each in addresses]})
