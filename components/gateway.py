"""A Gateway in front of the public Service: HTTPS, and a redirect from HTTP, on any class of the Gateway API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from contract.platform import HTTP_PORT, HTTPS_PORT, Gateway, ServiceReference
from contract.settings import ServiceSettings

API_VERSION = "gateway.networking.k8s.io/v1"
#: Port of the Service behind a Gateway. Never changed: Google's controller would lose the pods behind the load balancer
#: (GKE known issues, NEG controller stops managing endpoints when port removed from Service).
GATEWAY_PORT = HTTP_PORT
#: Seconds that a class may take. Google's needs several minutes for a new load balancer.
PROGRAMMED_SECONDS = 900


@dataclass(frozen=True)
class PublicGatewayArgs:
    """Which Gateway, for which name and Service."""

    gateway: Gateway
    hostname: str
    service: ServiceSettings
    #: The public Service.
    backend: ServiceReference
    labels: Mapping[str, str]
    #: Whether the engine refuses to delete it.
    protect: bool
    #: What it forwards to, and its controller.
    after: Sequence[pulumi.Resource]


class PublicGateway(Component):
    """A Gateway with a listener for HTTP, which redirects, and one for HTTPS.

    Creates the policies of its class, two HTTPRoutes and last the Gateway, so that it is programmed with all of them.
    `destroy` deletes it first. The route of HTTPS has one backend, the public Service, which shares the users by pods.
    """

    #: Its first address (IP address or host name).
    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: PublicGatewayArgs, kubernetes: k8s.Provider, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("release:PublicGateway", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(
            parent=self, provider=kubernetes, protect=args.protect, depends_on=list(args.after)
        )
        redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
        backend = {"name": args.backend.name, "port": GATEWAY_PORT}
        policies = args.gateway.policies
        parts: list[pulumi.Resource] = [
            *(policies(args.backend, args.service, self._options) if policies else ()),
            self._route("redirect", "http", {"filters": [redirect]}),
            self._route("route", "https", {"backendRefs": [backend]}),
        ]
        gateway = self._gateway(parts)
        self.address = gateway.status.apply(_address)
        self.register_outputs({"address": self.address})

    def _gateway(self, after: Sequence[pulumi.Resource]) -> GatewayResource:
        gateway = self._args.gateway
        # Without `tls`, the annotations of the class name the certificate.
        tls: dict[str, Any] = (
            {"tls": {"mode": "Terminate", "certificateRefs": [{"name": gateway.certificate_secret}]}}
            if gateway.certificate_secret
            else {}
        )
        addresses: dict[str, Any] = (
            {"addresses": [{"type": "NamedAddress", "value": gateway.address_name}]}
            if gateway.address_name is not None
            else {}
        )
        return GatewayResource(
            "gateway",
            metadata=self._metadata(
                self._args.service.name,
                {
                    "pulumi.com/waitFor": "condition=Programmed",
                    "pulumi.com/timeoutSeconds": str(PROGRAMMED_SECONDS),
                    **gateway.annotations,
                },
            ),
            spec={
                "gatewayClassName": gateway.class_name,
                **addresses,
                "listeners": [
                    {"name": "http", "protocol": "HTTP", "port": HTTP_PORT},
                    {"name": "https", "protocol": "HTTPS", "port": HTTPS_PORT, **tls},
                ],
            },
            opts=pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=after)),
        )

    def _route(self, name: str, listener: str, rule: dict[str, Any]) -> pulumi.Resource:
        return k8s.apiextensions.CustomResource(
            name,
            api_version=API_VERSION,
            kind="HTTPRoute",
            metadata=self._metadata(f"{self._args.service.name}-{listener}"),
            spec={
                "parentRefs": [{"name": self._args.service.name, "sectionName": listener}],
                "hostnames": [self._args.hostname],
                "rules": [rule],
            },
            opts=self._options,
        )

    def _metadata(
        self, name: str, annotations: Mapping[str, pulumi.Input[str]] | None = None
    ) -> k8s.meta.v1.ObjectMetaArgsDict:
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": name,
            "namespace": self._args.backend.namespace,
            "labels": self._args.labels,
        }
        return {**metadata, "annotations": annotations} if annotations else metadata


class GatewayResource(pulumi.CustomResource):
    """A Gateway with its status, which the SDK's CustomResource does not have."""

    status: pulumi.Output[Any]

    def __init__(
        self,
        name: str,
        metadata: k8s.meta.v1.ObjectMetaArgsDict,
        spec: Mapping[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> None:
        properties = {"apiVersion": API_VERSION, "kind": "Gateway", "metadata": metadata, "spec": spec, "status": None}
        plugin = pulumi.ResourceOptions(version=version("pulumi-kubernetes"))  # as of the SDK's resources
        super().__init__(
            f"kubernetes:{API_VERSION}:Gateway", name, properties, pulumi.ResourceOptions.merge(opts, plugin)
        )


def _address(status: object) -> str:
    addresses = cast(Mapping[str, Any], status).get("addresses") if isinstance(status, Mapping) else None
    return addresses[0]["value"] if addresses else "(pending)"
