"""Certificates, and records in the account's domains. Every domain is one of the account's."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from typing_extensions import override

from lab.plugins.digitalocean.kind import DigitalOceanKind
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, at_most, matches, one_of
from lab.plugins.times import timestamp

HOST = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}"
#: Let's Encrypt's certificates are valid for 90 days.
VALID = timedelta(days=90)


class Certificate(DigitalOceanKind):
    """A Let's Encrypt certificate, known by its name: its id changes when it is renewed."""

    title = "certificate"
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": at_most(255),
        "type": one_of("lets_encrypt"),
        "domains": matches(HOST, "a host name in a domain of the account"),
    }
    required = ("domains",)
    not_simulated = ("privateKey", "leafCertificate", "certificateChain")
    replaces = ("name", "type", "domains")

    @override
    def new_id(self, inputs: Properties) -> str:
        return inputs["name"]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {
            "uuid": f"{secrets.token_hex(4)}-0000-4000-8000-{secrets.token_hex(6)}",
            "state": "verified",
            "notAfter": timestamp(VALID),
            "sha1Fingerprint": secrets.token_hex(20),
        }


class DnsRecord(DigitalOceanKind):
    """An address of a name in a domain."""

    title = "DNS record"
    rules: ClassVar[Mapping[str, Rule]] = {
        "domain": matches(HOST, "a domain"),
        "type": one_of("A"),
        "name": matches(r"@|[a-z0-9*_]([a-z0-9._-]*[a-z0-9])?", "a name relative to the domain, or @"),
    }
    replaces = ("domain", "type")
    defaults: ClassVar[Mapping[str, Value]] = {"ttl": 1800}
    autonamed = False
    unique_name = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return str(secrets.randbelow(10**9))

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        try:
            ipaddress.IPv4Address(inputs["value"])
        except ValueError:
            return [Failure("value", f"is {inputs['value']!r}, and must be an IPv4 address.")]
        return []

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        name = "" if inputs["name"] == "@" else f"{inputs['name']}."
        return {"fqdn": f"{name}{inputs['domain']}"}
