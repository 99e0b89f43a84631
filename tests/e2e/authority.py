"""A certificate authority of the tests' own, for HTTPS at a Gateway."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.project import Project

VALID = datetime.timedelta(days=1)


class Authority:
    """Issues certificates and puts them into Secrets, as cert-manager does. ``file`` has its own certificate."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority of the tests")
        certificate = _builder(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def renew(self, project: Project, namespace: str, secret: str, hostname: str) -> int:
        """Write a new certificate for the name into the Secret; return its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(hostname), self._name, key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = {"tls.crt": certificate.public_bytes(serialization.Encoding.PEM), "tls.key": _pem(key)}
        for name, content in files.items():
            (self._folder / name).write_bytes(content)
        arguments = ["--cert", str(self._folder / "tls.crt"), "--key", str(self._folder / "tls.key"), "-n", namespace]
        manifest = project.kubectl("create", "secret", "tls", secret, *arguments, "--dry-run=client", "-o", "json")
        (self._folder / "secret.json").write_text(manifest.stdout)
        project.kubectl("apply", "-f", str(self._folder / "secret.json"))
        return certificate.serial_number


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
