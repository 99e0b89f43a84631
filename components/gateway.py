"""A Gateway in front of the release: HTTPS with a redirect, or plain HTTP, on any class of the Gateway API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from components.routing import (
    TRAEFIK_SERVICE,
    TRAEFIK_VERSION,
    Rule,
    is_sticky,
    route_rules,
    sticky_name,
    sticky_spec,
    weights,
)
from contract.platform import HTTP_PORT, HTTPS_PORT, Gateway, ServiceReference
from contract.settings import ReleaseSettings, ServiceSettings

API_VERSION = "gateway.networking.k8s.io/v1"
#: Seconds that a class may take. Google's needs several minutes for a new load balancer.
PROGRAMMED_SECONDS = 900


@dataclass(frozen=True)
class PublicGatewayArgs:
    """Which Gateway, for which name and release."""

    gateway: Gateway
    #: DNS name; "" for any.
    hostname: str
    service: ServiceSettings
    #: The tracks and their shares of the users.
    release: ReleaseSettings
    #: Changes with the version on trial.
    version: pulumi.Input[str]
    #: The public Service.
    backend: ServiceReference
    labels: Mapping[str, str]
    #: Whether the engine refuses to delete it.
    protect: bool
    #: The Services, the pods that must be ready before they get users, and the stack's own controller.
    after: Sequence[pulumi.Resource]


class PublicGateway(Component):
    """A Gateway with a listener for HTTPS and one for HTTP that redirects, or with one for HTTP alone.

    Creates the policies of its class, the HTTPRoutes and last the Gateway, so that it is programmed with all of them.
    `destroy` deletes it first. The route changes once the pods behind it are ready, and before pods that it no longer
    leads to are deleted.
    """

    #: Its first address (IP address or host name).
    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: PublicGatewayArgs, kubernetes: k8s.Provider, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("release:PublicGateway", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self, provider=kubernetes, depends_on=list(args.after))
        parts = [*self._policies(), *self._sticky()]
        if args.gateway.ends_tls:
            redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
            parts.append(self._route("redirect", "http", f"{args.service.name}-http", [{"filters": [redirect]}], parts))
        # The name stays when a stack gets a certificate, or the route would be replaced.
        rules = route_rules(args.service.name, args.release)
        listener = "https" if args.gateway.ends_tls else "http"
        parts.append(self._route("route", listener, f"{args.service.name}-https", rules, parts))
        gateway = self._gateway(parts)
        self.address = gateway.status.apply(_address)
        self.register_outputs({"address": self.address})

    def _policies(self) -> list[pulumi.Resource]:
        """Declare the policies of the public Service, which stay, and of the tracks that the route leads to."""
        args, policies = self._args, self._args.gateway.policies
        if not policies:
            return []
        tracks = list(weights(args.release)) if args.release.has_weights else []
        return [
            *policies(args.backend, args.service, self._protected()),
            *(
                policy
                for track in tracks
                for policy in policies(self._track_reference(track), args.service, self._options)
            ),
        ]

    def _track_reference(self, track: str) -> ServiceReference:
        return ServiceReference(f"{self._args.service.name}-{track}", self._args.backend.namespace, track)

    def _sticky(self) -> list[pulumi.Resource]:
        """Declare what keeps a browser with a version, while there are two."""
        args = self._args
        if not is_sticky(args.release):
            return []
        cookie = pulumi.Output.concat(args.service.name, "-", args.version)
        return [
            k8s.apiextensions.CustomResource(
                "sticky",
                api_version=TRAEFIK_VERSION,
                kind=TRAEFIK_SERVICE,
                metadata=self._metadata(sticky_name(args.service.name)),
                spec=sticky_spec(args.service.name, args.release, cookie, secure=args.gateway.ends_tls),
                opts=self._options,
            )
        ]

    def _protected(self, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        own = pulumi.ResourceOptions(protect=self._args.protect, depends_on=after)
        return pulumi.ResourceOptions.merge(self._options, own)

    def _gateway(self, after: Sequence[pulumi.Resource]) -> GatewayResource:
        gateway = self._args.gateway
        # Without `tls`, the annotations of the class name the certificate.
        certificate: dict[str, Any] = (
            {"tls": {"mode": "Terminate", "certificateRefs": [{"name": gateway.certificate_secret}]}}
            if gateway.certificate_secret
            else {}
        )
        addresses: dict[str, Any] = (
            {"addresses": [{"type": "NamedAddress", "value": gateway.address_name}]}
            if gateway.address_name is not None
            else {}
        )
        https = {"name": "https", "protocol": "HTTPS", "port": HTTPS_PORT, **certificate}
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
                    *([https] if gateway.ends_tls else []),
                ],
            },
            opts=self._protected(after),
        )

    def _route(
        self, name: str, listener: str, full_name: str, rules: Sequence[Rule], after: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        return k8s.apiextensions.CustomResource(
            name,
            api_version=API_VERSION,
            kind="HTTPRoute",
            metadata=self._metadata(full_name),
            spec={
                "parentRefs": [{"name": self._args.service.name, "sectionName": listener}],
                **({"hostnames": [self._args.hostname]} if self._args.hostname else {}),
                "rules": rules,
            },
            opts=self._protected(after),
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
