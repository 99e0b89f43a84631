"""Certificate Manager: certificates that Google issues, and the maps by which load balancers find them.

Nothing is issued. Documentation: Certificate Manager API reference; Manage certificates; provider's
certificatemanager/resource_certificate_manager_*.go.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.gcp.kind import GoogleKind
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of
from lab.plugins.times import timestamp

_HOST = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
NAME = matches(
    r"[a-zA-Z][a-zA-Z0-9_-]{0,63}", "1 to 64 letters, digits, dashes and underscores, starting with a letter"
)
DOMAIN = matches(rf"(\*\.)?{_HOST}", "a domain, such as www.example.com")


class _InCertificateManager(GoogleKind):
    """A resource of Certificate Manager, in its only simulated location, global."""

    module = "certificatemanager"
    api = "certificatemanager"
    collection: ClassVar[str]
    labelled = "labels"
    common_rules: ClassVar[Mapping[str, Rule]] = {
        **GoogleKind.common_rules,
        "name": NAME,
        "location": one_of("global"),
    }

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/locations/global/{self.collection}/{inputs['name']}"


class DnsAuthorization(_InCertificateManager):
    """The permission to issue certificates for a domain, proved by a record in its zone."""

    title = "DNS authorization"
    collection = "dnsAuthorizations"
    rules: ClassVar[Mapping[str, Rule]] = {
        "domain": matches(_HOST, "a domain without a wildcard, such as www.example.com"),
        "type": one_of("FIXED_RECORD", "PER_PROJECT_RECORD"),
    }
    replaces = ("name", "domain", "type", "location", "project")
    defaults: ClassVar[Mapping[str, Value]] = {"location": "global", "type": "FIXED_RECORD"}
    filled_by_bridge = ("location",)
    used_by: ClassVar[Mapping[str, str]] = {"Certificate": "managed.dnsAuthorizations"}

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        target = f"{uuid.uuid4()}.0.authorize.certificatemanager.goog."
        record = {"name": f"_acme-challenge.{inputs['domain']}.", "type": "CNAME", "data": target}
        return {"dnsResourceRecords": [record]}


class Certificate(_InCertificateManager):
    """A certificate that Google issues and renews."""

    title = "certificate"
    collection = "certificates"
    rules: ClassVar[Mapping[str, Rule]] = {
        "managed.domains": DOMAIN,
        "scope": one_of("DEFAULT", "EDGE_CACHE", "ALL_REGIONS", "CLIENT_AUTH"),
    }
    required = ("managed",)
    not_simulated = ("selfManaged",)
    replaces = ("name", "managed", "scope", "location", "project")
    defaults: ClassVar[Mapping[str, Value]] = {"location": "global", "scope": "DEFAULT"}
    filled_by_bridge = ("location", "scope")
    references: ClassVar[Mapping[str, str]] = {"managed.dnsAuthorizations": "DnsAuthorization"}
    used_by: ClassVar[Mapping[str, str]] = {"CertificateMapEntry": "certificates"}

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        domains, proved = inputs["managed"].get("domains") or [], inputs["managed"].get("dnsAuthorizations")
        if not domains:
            found.append(Failure("managed.domains", "is required, and is missing."))
        if not proved and any(each.startswith("*.") for each in domains):
            found.append(Failure("managed.domains", "has a wildcard, which needs a DNS authorization."))
        return found

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        ids = inputs["managed"].get("dnsAuthorizations") or []
        proved = {self.existing("DnsAuthorization", each).inputs["domain"] for each in ids}
        missing = [each for each in inputs["managed"]["domains"] if proved and each.removeprefix("*.") not in proved]
        if missing:
            raise ApiError(f"400 the domain {missing[0]} has no DNS authorization among those of the certificate")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"sanDnsnames": inputs["managed"]["domains"]}


class CertificateMap(_InCertificateManager):
    """A set of certificates, from which a load balancer chooses by the host name."""

    title = "certificate map"
    collection = "certificateMaps"
    replaces = ("name", "project")
    used_by: ClassVar[Mapping[str, str]] = {"CertificateMapEntry": "map"}

    @override
    def referred_to_as(self, record: Record) -> str:
        return record.inputs["name"]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"createTime": timestamp(), "updateTime": timestamp(), "gclbTargets": []}


class CertificateMapEntry(_InCertificateManager):
    """The certificates of one host name in a map."""

    title = "entry of a certificate map"
    rules: ClassVar[Mapping[str, Rule]] = {"hostname": DOMAIN, "matcher": one_of("PRIMARY")}
    replaces = ("name", "map", "hostname", "matcher", "project")
    references: ClassVar[Mapping[str, str]] = {"certificates": "Certificate"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{self._map_id(inputs)}/certificateMapEntries/{inputs['name']}"

    def _map_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/locations/global/certificateMaps/{inputs['map']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if bool(inputs.get("hostname")) == bool(inputs.get("matcher")):
            found.append(Failure("hostname", "or matcher must be given, and not both."))
        return found

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        self.existing("CertificateMap", self._map_id(inputs))

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether the map has an entry of this name, or one for the same host name, already."""
        if inputs["map"] != existing.inputs["map"]:
            return False
        return any(inputs.get(key) and inputs.get(key) == existing.inputs.get(key) for key in ("name", "hostname"))

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"state": "PENDING", "createTime": timestamp(), "updateTime": timestamp()}
