"""Config keys of a release's entrance on a cloud: the name, and who may connect."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from contract.settings import Keys


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


class EntranceKeys(Keys):
    """Keys of the load balancer that every cloud has."""

    hostname: str = Field(
        default="",
        max_length=253,
        pattern=HOSTNAME,
        description="DNS name of the service, such as addressbook.example.com, for the output `url`. Unset: the load"
        " balancer's own address.",
    )
    allowed_sources: list[AddressRange] = Field(
        default=[],
        description="Address ranges (CIDR) that may connect to the public load balancer. Unset: any address.",
    )


def needs_hostname(value: str, others: ValidationInfo) -> str:
    """Return the value. Raises ValueError if it is set without `hostname`."""
    if value and not others.data.get("hostname"):
        raise ValueError("needs `hostname`, the name that users connect to")
    return value
