"""Config keys of a release's entrance: the name, the Gateway, and who may connect."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from contract.platform import TRAEFIK, Gateway, OwnTraefik
from contract.settings import Keys, by_digest, digest_or_tag


def address_range(value: str) -> str:
    """Return the IPv4 address range. Raises ValueError if it is none."""
    try:
        return str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"must be an IPv4 address range such as 203.0.113.0/24: {error}") from None


#: An IPv4 address range in CIDR notation.
AddressRange = Annotated[str, AfterValidator(address_range)]
#: A DNS name of two or more labels (RFC 1123), or "".
HOSTNAME = r"^(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9])?$"
#: Name of a Kubernetes object (RFC 1123), or "".
OBJECT_NAME = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"
#: Value of `gateway` for the cloud's own class, and of `tls` for its own certificate.
MANAGED = "managed"


def needs_hostname(value: str, others: ValidationInfo) -> str:
    """Return the value. Raises ValueError if it is set without `hostname`."""
    if value and not others.data.get("hostname"):
        raise ValueError("needs `hostname`, the name that users connect to")
    return value


class GatewayKeys(Keys):
    """Keys of the service's name, and of a Gateway in front of it, on any cluster."""

    #: Whether the cloud has a class of Gateways, and certificates for it.
    has_managed_gateway: ClassVar[bool] = False

    hostname: str = Field(
        default="",
        max_length=253,
        pattern=HOSTNAME,
        description="DNS name of the service, such as addressbook.example.com, for the output `url`. Unset: the load"
        " balancer's own address.",
    )
    gateway: str = Field(
        default="",
        pattern=OBJECT_NAME,
        description="GatewayClass of the cluster (`kubectl get gatewayclass`) whose Gateway forwards to the service;"
        " `traefik` for a Traefik that the stack runs itself; or `managed` for the cloud's own (Google Cloud). Without"
        " `tls` it serves plain HTTP. A change gives the service a new address. Unset: a load balancer for the Service,"
        " without a Gateway.",
    )
    tls: str = Field(
        default="",
        validate_default=True,
        pattern=OBJECT_NAME,
        description="With gateway: name of the Secret with the certificate for `hostname`, in the stack's namespace, or"
        " `managed` for one that the cloud issues and renews (with gateway `managed`). The Gateway then ends TLS and"
        " redirects HTTP. Unset: plain HTTP.",
    )

    gateway_image: str = Field(
        default="traefik:v3.6.12",
        description="With gateway `traefik`: Traefik's image, of version 3.6 or later. In production name it by digest"
        " (`REPOSITORY@sha256:DIGEST`): it is then copied into the stack's registry and pulled from there.",
    )
    gateway_replicas: int = Field(
        default=2, ge=1, le=100, description="With gateway `traefik`: pods of Traefik. 1 on a cluster of one node."
    )

    _require_gateway_image = field_validator("gateway_image")(digest_or_tag)

    @field_validator("gateway")
    @classmethod
    def _require_class(cls, value: str) -> str:
        if value == MANAGED and not cls.has_managed_gateway:
            raise ValueError("this cloud has no Gateway of its own; name a GatewayClass that the cluster has")
        return value

    @field_validator("tls")
    @classmethod
    def _require_gateway(cls, value: str, others: ValidationInfo) -> str:
        gateway = others.data.get("gateway")
        if gateway is None:
            return value  # invalid, and reported as such
        if value and not gateway:
            raise ValueError("needs `gateway`, the class of the Gateway that ends TLS")
        if gateway == MANAGED and not value:
            raise ValueError("must name the certificate of the managed Gateway: a Secret, or `managed`")
        if value == MANAGED and gateway != MANAGED:
            raise ValueError("is for gateway `managed`; name the Secret with the certificate")
        return needs_hostname(value, others)

    @property
    def portable_gateway(self) -> Gateway | None:
        """The Gateway with what all classes have in common; None without one."""
        if not self.gateway:
            return None
        secret = "" if self.tls == MANAGED else self.tls
        traefik = OwnTraefik(self.gateway_image, self.gateway_replicas) if self.gateway == TRAEFIK else None
        return Gateway(self.gateway, certificate_secret=secret, ends_tls=bool(self.tls), traefik=traefik)

    @property
    def pinned(self) -> set[str]:
        """Traefik's image, if the stack runs it and names it by digest."""
        return super().pinned | by_digest(self.gateway_image if self.gateway == TRAEFIK else "")


def without_gateway(value: Any, others: ValidationInfo) -> Any:
    """Return the value. Raises ValueError if it is set beside `gateway`."""
    if value and others.data.get("gateway"):
        raise ValueError("configures a Service's load balancer, and `gateway` replaces that: unset one of the two")
    return value


def with_load_balancer(value: Any, others: ValidationInfo) -> Any:
    """Return the value. Raises ValueError if no Service has a load balancer: neither the public one, nor Traefik's."""
    return value if others.data.get("gateway") == TRAEFIK else without_gateway(value, others)


class EntranceKeys(GatewayKeys):
    """Keys of the load balancer that every cloud has."""

    allowed_sources: list[AddressRange] = Field(
        default=[],
        description="Address ranges (CIDR) that may connect to the public load balancer. Unset: any address.",
    )

    _need_load_balancer = field_validator("allowed_sources")(with_load_balancer)
