"""The lab's certificate authority, with the server and client certificates and kubeconfigs that it issues."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.files import write
from lab.layout import Lab

VALID_DAYS = 3650  # longer than any lab lives, so that nothing has to be renewed


@dataclass(frozen=True)
class Identity:
    """The user of a client certificate: Kubernetes reads the user from CN and the group from O."""

    file: str
    user: str
    group: str | None = None


@dataclass(frozen=True)
class Authority:
    """Certificates and keys of one lab, created once and kept in its state."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        return self.folder / "ca.key"

    def ensure(self) -> None:
        """Create the authority and the key that signs service account tokens, unless they exist."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.certificate.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "addressbook-lab")])
            builder = _builder(name, name, key.public_key())
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            write(self.key, _pem(key), mode=0o600)
            write(self.certificate, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        if not (self.folder / "service-account.pub").exists():
            key = ec.generate_private_key(ec.SECP256R1())
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            write(self.folder / "service-account.key", _pem(key), mode=0o600)
            write(self.folder / "service-account.pub", public)

    def client(self, identity: Identity) -> tuple[Path, Path]:
        """Return certificate and key of a client, signed once."""
        return self._issue(identity.file, identity.user, identity.group, [], ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, file: str, names: list[str]) -> tuple[Path, Path]:
        """Return certificate and key of a server with these names and addresses, signed once for them."""
        return self._issue(file, file, None, names, ExtendedKeyUsageOID.SERVER_AUTH)

    def _issue(
        self, file: str, common_name: str, group: str | None, names: list[str], usage: x509.ObjectIdentifier
    ) -> tuple[Path, Path]:
        certificate, key_file = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        if certificate.exists() and _names(certificate) == names:
            return certificate, key_file
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if group:
            subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name(subject), issuer.subject, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
            )
        signed = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        # The certificate last, so that a kill in between leaves no certificate without its key.
        write(key_file, _pem(key), mode=0o600)
        write(certificate, signed)
        return certificate, key_file

    def kubeconfig(self, lab: Lab, identity: Identity) -> str:
        """Return a self-contained kubeconfig, which works from any folder."""
        certificate, key = self.client(identity)

        def encoded(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        cluster = {"server": lab.api_url, "certificate-authority-data": encoded(self.certificate)}
        user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
        context = {"cluster": lab.name, "user": identity.file}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": lab.name,
            "clusters": [{"name": lab.name, "cluster": cluster}],
            "users": [{"name": identity.file, "user": user}],
            "contexts": [{"name": lab.name, "context": context}],
        }
        return json.dumps(document, indent=2) + "\n"


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _names(certificate: Path) -> list[str]:
    """Return the names and addresses of a certificate."""
    extensions = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
    try:
        alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(each.value) for each in alternatives]


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
