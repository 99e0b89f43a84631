"""Google Cloud's own Gateway: a global load balancer with a reserved address, and a certificate that Google renews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from components.component import Component
from components.gcp.entrance import TTL_SECONDS
from components.random_name import random_name
from components.track import DRAIN_SECONDS
from contract.platform import Gateway, ServiceReference
from contract.settings import ServiceSettings

#: Class of the global external Application Load Balancer (GKE documentation, GatewayClass capabilities).
CLASS = "gke-l7-global-external-managed"
POLICY_VERSION = "networking.gke.io/v1"
#: Seconds that pods must serve on after they are told to stop: until Google's load balancer no longer sends to them.
#: Google's own example sleeps as long (knowledge base, 502 503 errors on external HTTP(S) load balancer).
MINIMUM_PRE_STOP_SECONDS = 40


@dataclass(frozen=True)
class ManagedGatewayArgs:
    """Names, and whose certificate."""

    #: Prefix of the names in the project.
    name: str
    #: Id of the cluster's project.
    project: str
    hostname: str
    #: Name of the Cloud DNS zone with the host name; "" if the zone is elsewhere.
    dns_zone: str
    #: Id of the zone's project; "" for the provider's own.
    zone_project: str
    #: Name of the Secret with the certificate; "" for one that Google issues.
    certificate_secret: str
    labels: dict[str, str]
    #: The project's APIs.
    services: Sequence[pulumi.Input[pulumi.Resource]]


class ManagedGateway(Component):
    """What a Gateway of Google's class needs in the project.

    Creates a reserved global address and, unless there is a Secret, a certificate in a map that the Gateway names.
    With a zone in the project, Google proves the name by a record there, before any user comes; otherwise by a request
    to the load balancer, so the name must point at it first.
    """

    #: For the release.
    gateway: Gateway
    address: pulumi.Output[str]

    def __init__(self, name: str, args: ManagedGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:ManagedGateway", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self, depends_on=args.services)
        reserved = gcp.compute.GlobalAddress(
            "gateway",
            name=f"{args.name}-gateway",
            address_type="EXTERNAL",
            labels=args.labels,
            project=args.project,
            opts=self._options,
        )
        annotations: Mapping[str, pulumi.Input[str]] = (
            {} if args.certificate_secret else {"networking.gke.io/certmap": self._certificate_map()}
        )
        self.address = reserved.address
        self.gateway = Gateway(
            class_name=CLASS,
            certificate_secret=args.certificate_secret,
            annotations=annotations,
            address_name=reserved.name,
            policies=_policies,
        )
        self.register_outputs({"address": reserved.address})

    def _certificate_map(self) -> pulumi.Output[str]:
        """Declare the certificate for the host name, and return the name of its map."""
        args = self._args
        own = pulumi.ResourceOptions(parent=self)
        certificate = gcp.certificatemanager.Certificate(
            "certificate",
            name=self._certificate_name(),
            managed={"domains": [args.hostname], "dns_authorizations": self._authorizations()},
            labels=args.labels,
            project=args.project,
            opts=self._replaced_first(),
        )
        certificates = gcp.certificatemanager.CertificateMap(
            "certificates", name=f"{args.name}-gateway", labels=args.labels, project=args.project, opts=self._options
        )
        entry = gcp.certificatemanager.CertificateMapEntry(
            "certificate",
            name=random_name("certificate-entry-name", args.name, {"hostname": args.hostname}, own),
            map=certificates.name,
            hostname=args.hostname,
            certificates=[certificate.id],
            labels=args.labels,
            project=args.project,
            opts=self._replaced_first(),
        )
        # The Gateway finds a map that has its certificate.
        return entry.id.apply(lambda _: certificates.name)

    def _authorizations(self) -> list[pulumi.Input[str]]:
        """Declare the proof of the name in its zone, if that is in the project; return its id."""
        args = self._args
        if not args.dns_zone:
            return []
        own = pulumi.ResourceOptions(parent=self)
        authorization = gcp.certificatemanager.DnsAuthorization(
            "authorization",
            name=random_name("authorization-name", args.name, {"hostname": args.hostname}, own),
            domain=args.hostname,
            labels=args.labels,
            project=args.project,
            opts=self._replaced_first(),
        )
        record = authorization.dns_resource_records[0]
        proof = gcp.dns.RecordSet(
            "authorization",
            managed_zone=args.dns_zone,
            name=record.apply(lambda each: each.name or ""),
            type="CNAME",
            ttl=TTL_SECONDS,
            rrdatas=[record.apply(lambda each: each.data or "")],
            project=args.zone_project or None,
            opts=own,
        )
        # The certificate waits for the record, so that Google's first look finds it.
        return [proof.id.apply(lambda _: authorization.id)]

    def _certificate_name(self) -> pulumi.Output[str]:
        """Return a name that changes with what replaces the certificate."""
        proof = "DNS" if self._args.dns_zone else "load balancer"
        replaced_with = {"hostname": self._args.hostname, "proof": proof}
        return random_name("certificate-name", self._args.name, replaced_with, pulumi.ResourceOptions(parent=self))

    def _replaced_first(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(delete_before_replace=False))


def _policies(
    backend: ServiceReference, service: ServiceSettings, opts: pulumi.ResourceOptions
) -> Sequence[pulumi.Resource]:
    """Let the load balancer ask for readiness as Kubernetes does, and let a leaving pod finish its requests."""
    health = {
        "checkIntervalSec": 5,
        "timeoutSec": 5,
        "healthyThreshold": 1,
        "unhealthyThreshold": 2,
        # Without a port, each pod is asked at the port that it serves on.
        "config": {"type": "HTTP", "httpHealthCheck": {"requestPath": service.readiness_path}},
    }
    # Google's default is 0: it would cut off what a pod is still answering.
    draining = {"connectionDraining": {"drainingTimeoutSec": DRAIN_SECONDS}}
    suffix = f"-{backend.track}" if backend.track else ""
    return [
        _policy(f"health-check{suffix}", "HealthCheckPolicy", backend, health, opts),
        _policy(f"draining{suffix}", "GCPBackendPolicy", backend, draining, opts),
    ]


def _policy(
    name: str, kind: str, backend: ServiceReference, default: dict[str, Any], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    return k8s.apiextensions.CustomResource(
        name,
        api_version=POLICY_VERSION,
        kind=kind,
        metadata={"name": backend.name, "namespace": backend.namespace},
        spec={"default": default, "targetRef": {"group": "", "kind": "Service", "name": backend.name}},
        opts=opts,
    )
