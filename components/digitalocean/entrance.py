"""Name and certificate of a release's DigitalOcean load balancer."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.random_name import random_name
from contract.platform import HTTPS_PORT, Publish

#: Prefix of the annotations that configure a Service's load balancer (digitalocean-cloud-controller-manager).
LOAD_BALANCER = "service.beta.kubernetes.io/do-loadbalancer"
#: Seconds for which resolvers may keep the address, so that a new load balancer is found soon.
TTL_SECONDS = 300


def tls(certificate: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Return the annotations that make the load balancer end TLS with a certificate (name), and redirect port 80.

    The name outlasts the renewals of a Let's Encrypt certificate; its id does not.
    """
    return {
        f"{LOAD_BALANCER}-protocol": "http",
        f"{LOAD_BALANCER}-tls-ports": str(HTTPS_PORT),
        f"{LOAD_BALANCER}-certificate-name": certificate,
        f"{LOAD_BALANCER}-redirect-http-to-https": "true",
        # The stack has its own record. DigitalOcean would add another one.
        f"{LOAD_BALANCER}-disable-lets-encrypt-dns-records": "true",
    }


class ManagedCertificate(Component):
    """A Let's Encrypt certificate that DigitalOcean renews. The name must be in a domain of the account's."""

    annotations: Mapping[str, pulumi.Input[str]]

    def __init__(self, name: str, stack: str, hostname: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("digitalocean:ManagedCertificate", name, opts)
        certificate = digitalocean.Certificate(
            "certificate",
            name=random_name("certificate-name", stack, {"hostname": hostname}, pulumi.ResourceOptions(parent=self)),
            type="lets_encrypt",
            domains=[hostname],
            # The load balancer uses the old one until it has the new one.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        self.annotations = tls(certificate.name)
        self.register_outputs({"name": certificate.name})


def record_in(domain: str, hostname: str) -> Publish:
    """Return the function that points a name in a domain of the account's at the load balancer."""

    def publish(address: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
        digitalocean.DnsRecord(
            "hostname",
            domain=domain,
            type="A",
            name=hostname.removesuffix(domain).rstrip(".") or "@",
            value=address,
            ttl=TTL_SECONDS,
            opts=opts,
        )

    return publish
