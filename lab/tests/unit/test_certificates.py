"""The certificates of the lab's authority, read back with the library that verifies them."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from lab.certificates import Authority, Identity
from lab.layout import Lab


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path / "certificates")
    authority.ensure()
    return authority


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def test_server_certificate_has_names_and_addresses(authority: Authority) -> None:
    file, _ = authority.server("api", ["kubernetes.default", "10.99.0.2"])
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes.default"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.99.0.2")]
    root = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    certificate.verify_directly_issued_by(root)


def test_client_certificate_has_user_and_group(authority: Authority) -> None:
    file, _ = authority.client(Identity("kubelet", "system:node:lab", "system:nodes"))
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    assert _subject(certificate) == "CN=system:node:lab,O=system:nodes"


def test_certificates_are_valid_for_more_than_a_year(authority: Authority) -> None:
    file, _ = authority.server("api", ["localhost"])
    for path in (authority.certificate, file):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        now = datetime.datetime.now(datetime.UTC)
        assert certificate.not_valid_before_utc < now
        assert certificate.not_valid_after_utc > now + datetime.timedelta(days=365)


def test_only_the_owner_can_read_keys(authority: Authority) -> None:
    authority.server("api", ["localhost"])
    assert {key.stat().st_mode & 0o777 for key in authority.folder.glob("*.key")} == {0o600}
    assert authority.folder.stat().st_mode & 0o777 == 0o700


def test_a_certificate_is_signed_once(authority: Authority) -> None:
    identity = Identity("someone", "someone")
    before = [path.read_bytes() for path in (*authority.client(identity), authority.certificate, authority.key)]
    authority.ensure()
    assert [path.read_bytes() for path in (*authority.client(identity), authority.certificate, authority.key)] == before


def test_kubeconfig_is_self_contained(authority: Authority, lab: Lab) -> None:
    config = json.loads(authority.kubeconfig(lab, Identity("admin", "admin", "system:masters")))
    assert config["current-context"] == lab.name == config["contexts"][0]["name"]
    assert config["clusters"][0]["cluster"]["server"] == lab.api_url
    user = config["users"][0]["user"]
    file, key = authority.client(Identity("admin", "admin", "system:masters"))
    assert base64.b64decode(user["client-certificate-data"]) == file.read_bytes()
    assert base64.b64decode(user["client-key-data"]) == key.read_bytes()
    ssl.create_default_context(cafile=str(authority.certificate)).load_cert_chain(file, key)


def test_certificate_of_another_authority_is_rejected(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    other.ensure()
    file, _ = other.client(Identity("intruder", "intruder", "system:masters"))
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    own = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    verifier = PolicyBuilder().store(Store([own])).build_client_verifier()
    with pytest.raises(x509.verification.VerificationError):
        verifier.verify(certificate, [])


def test_changed_server_names_give_a_new_certificate(authority: Authority) -> None:
    first = [file.read_bytes() for file in authority.server("database", ["a.example", "192.0.2.1"])]
    assert [file.read_bytes() for file in authority.server("database", ["a.example", "192.0.2.1"])] == first
    certificate, key = authority.server("database", ["b.example"])
    assert key.read_bytes() != first[1]
    names = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["b.example"]
