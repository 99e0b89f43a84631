"""The simulated Certificate Manager: what it accepts, refuses and keeps."""

from __future__ import annotations

from typing import Any

import pytest

from lab.plugins.gcp.cloud import GoogleCloud
from lab.plugins.provider import ProviderError
from lab.tests.unit.plugins.simulated_accounts import PROJECT, delete, make, resource

DOMAIN = "www.example.com"
PLACE = f"projects/{PROJECT}/locations/global"
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("DnsAuthorization", {"name": "ours", "domain": "*.example.com"}, "domain"),
    ("Certificate", {"name": "ours", "managed": {"domains": ["*.example.com"]}}, "managed.domains"),
    ("Certificate", {"name": "ours", "managed": {}}, "managed.domains"),
    ("Certificate", {"name": "9", "managed": {"domains": [DOMAIN]}}, "name"),
    ("Certificate", {"name": "ours"}, "managed"),
    ("CertificateMapEntry", {"name": "ours", "map": "ours", "certificates": ["a"]}, "hostname"),
    ("GlobalAddress", {"name": "ours", "addressType": "EXTERNAL", "prefixLength": 20}, "prefixLength"),
    ("RecordSet", {"name": "a.example.com.", "managedZone": "z", "type": "CNAME", "rrdatas": ["b"]}, "rrdatas"),
]


@pytest.mark.parametrize(("kind", "inputs", "name"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_invalid_inputs_are_refused(gcp: GoogleCloud, kind: str, inputs: dict[str, Any], name: str):
    failures = gcp.check(resource(gcp, kind), {}, inputs).failures
    assert [each.property for each in failures] == [name]


def certificate(gcp: GoogleCloud, domain: str = DOMAIN) -> str:
    """Create an authorization of the domain, and a certificate of `DOMAIN` by it."""
    authorization = make(gcp, "DnsAuthorization", name="ours", domain=domain)
    (record,) = authorization.outputs["dnsResourceRecords"]
    assert record["name"] == f"_acme-challenge.{domain}."
    managed = {"domains": [DOMAIN], "dnsAuthorizations": [authorization.id]}
    return make(gcp, "Certificate", name="ours", managed=managed).id


def test_a_certificate_needs_an_authorization_of_its_domain(gcp: GoogleCloud):
    with pytest.raises(ProviderError, match=r"www\.example\.com has no DNS authorization"):
        certificate(gcp, "other.example.com")


def test_maps_go_after_entries_and_entries_before_certificates(gcp: GoogleCloud):
    found = certificate(gcp)
    maps = make(gcp, "CertificateMap", name="ours")
    entry: dict[str, Any] = {"map": "ours", "hostname": DOMAIN, "certificates": [found]}
    created = make(gcp, "CertificateMapEntry", name="one", **entry)
    assert created.id == f"{PLACE}/certificateMaps/ours/certificateMapEntries/one"
    with pytest.raises(ProviderError):
        make(gcp, "CertificateMapEntry", name="two", **entry)  # a host name has one entry
    for kind, id in (("CertificateMap", maps.id), ("Certificate", found)):
        with pytest.raises(ProviderError, match="is already being used by"):
            delete(gcp, kind, id)
    delete(gcp, "CertificateMapEntry", created.id)
    for kind, id in (
        ("CertificateMap", maps.id),
        ("Certificate", found),
        ("DnsAuthorization", f"{PLACE}/dnsAuthorizations/ours"),
    ):
        delete(gcp, kind, id)
