"""Temporary registries on loopback, and an image as CI pushes it: an index, attested and signed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
#: BuildKit's platform of an attestation (from its specification of attestation storage).
NO_PLATFORM = {"architecture": "unknown", "os": "unknown"}


@dataclass
class Registry:
    """A registry as a client of its HTTP API sees it; ``log`` is its access log."""

    host: str
    log: Path
    login: tuple[str, str] | None = None
    process: Any = field(default=None, repr=False)

    def request(
        self, method: str, path: str, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        sent = {"Content-Type": "application/octet-stream", **(headers or {})}
        request = urllib.request.Request(url, data=data, method=method, headers=sent)
        if self.login:
            request.add_header("Authorization", "Basic " + b64encode(":".join(self.login).encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def push_blob(self, repository: str, content: bytes) -> str:
        digest = digest_of(content)
        status, headers, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert status == 202, status
        location = headers["location"]
        separator = "&" if "?" in location else "?"
        status, _, answer = self.request("PUT", f"{location}{separator}digest={digest}", content)
        assert status == 201, answer
        return digest

    def push_manifest(self, repository: str, content: bytes, media_type: str, tag: str = "") -> str:
        digest = digest_of(content)
        reference = tag or digest
        status, _, answer = self.request(
            "PUT", f"/v2/{repository}/manifests/{reference}", content, {"Content-Type": media_type}
        )
        assert status == 201, answer
        return digest

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """Return the manifest's bytes, or None if the registry does not have it."""
        accepted = ", ".join((INDEX, MANIFEST, DOCKER_MANIFEST))
        status, _, content = self.request(
            "GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": accepted}
        )
        return content if status == 200 else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        status, _, content = self.request("GET", f"/v2/{repository}/blobs/{digest}")
        return content if status == 200 else None

    def tags(self, repository: str) -> list[str]:
        status, _, content = self.request("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(content)["tags"] or []) if status == 200 else []

    def writes(self) -> list[str]:
        """Return the log lines of finished uploads of blobs and manifests."""
        return [line for line in self.log.read_text().splitlines() if '"PUT /v2/' in line and '" 201 ' in line]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def encoded(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def bcrypt(password: str) -> str:
    """Hash a password for an htpasswd file, with the system's crypt."""
    from ctypes import CDLL, c_char_p
    from ctypes.util import find_library

    library = CDLL(find_library("crypt"))
    library.crypt.restype = c_char_p
    return library.crypt(password.encode(), b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


@contextlib.contextmanager
def registry(folder: Path, login: tuple[str, str] | None = None) -> Iterator[Registry]:
    """Run a registry on a free loopback port while the block runs."""
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": host},
    }
    if login:
        (folder / "htpasswd").write_text(f"{login[0]}:{bcrypt(login[1])}\n")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yaml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yaml")], stdout=log, stderr=log, env={**os.environ}
        )
    running = Registry(host, folder / "log", login, process)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                if running.request("GET", "/v2/")[0] == 200:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        yield running
    finally:
        running.stop()


@dataclass(frozen=True)
class Published:
    """An image in a registry: its index, all manifests by digest, all blobs and its signature."""

    repository: str
    digest: str
    manifests: dict[str, bytes]
    blobs: set[str]
    signature: str
    signature_tag: str

    def reference(self, registry: Registry) -> str:
        return f"{registry.host}/{self.repository}@{self.digest}"


def descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def image_manifest(configuration: bytes, layer: bytes) -> bytes:
    """Return the manifest of an image with one layer."""
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, configuration),
            "layers": [descriptor(LAYER, layer)],
        }
    )


def publish(to: Registry, repository: str, amd64: tuple[bytes, str], amd64_blobs: dict[str, bytes]) -> Published:
    """Push a multi-platform index around an image for linux/amd64 (its manifest with media type, and its blobs).

    The index also has linux/arm64, an attestation manifest in BuildKit's form, and two signatures: one refers to the
    index (OCI 1.1 referrers), the other has the tag that cosign uses.
    """
    blobs = dict(amd64_blobs)
    layer, configuration = b"arm64 layer " + os.urandom(64), encoded({"architecture": "arm64", "os": "linux"})
    statement = encoded({"_type": "https://in-toto.io/Statement/v0.1", "subject": [], "predicate": os.urandom(8).hex()})
    attested = encoded({"architecture": "unknown", "os": "unknown", "config": {}})
    signed, empty = b"signature " + os.urandom(16), b"{}"
    for content in (layer, configuration, statement, attested, signed, empty):
        blobs[digest_of(content)] = content
    arm64 = image_manifest(configuration, layer)
    attestation = encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, attested),
            "layers": [
                descriptor(
                    IN_TOTO, statement, annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
                )
            ],
        }
    )
    reference = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": digest_of(amd64[0]),
    }
    # Formatted as no tool would: a copy that re-encodes the index gets another digest.
    index = json.dumps(
        {
            "manifests": [
                descriptor(amd64[1], amd64[0], platform={"architecture": "amd64", "os": "linux"}),
                descriptor(MANIFEST, arm64, platform={"architecture": "arm64", "os": "linux"}),
                descriptor(MANIFEST, attestation, platform=NO_PLATFORM, annotations=reference),
            ],
            "mediaType": INDEX,
            "schemaVersion": 2,
        },
        indent=3,
    ).encode()
    signature = encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": SIGNATURE,
            "config": descriptor(EMPTY, empty),
            "layers": [descriptor(SIGNATURE, signed)],
            "subject": descriptor(INDEX, index),
        }
    )
    tagged = encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, empty),
            "layers": [descriptor("application/vnd.dev.cosign.simplesigning.v1+json", signed)],
        }
    )
    for content in blobs.values():
        to.push_blob(repository, content)
    to.push_manifest(repository, amd64[0], amd64[1])
    for content in (arm64, attestation, signature):
        to.push_manifest(repository, content, MANIFEST)
    to.push_manifest(repository, index, INDEX)
    digest = digest_of(index)
    # The registry is older than the referrers API: a tag lists them instead (the specification's fallback).
    referrer = descriptor(MANIFEST, signature, artifactType=SIGNATURE)
    to.push_manifest(
        repository,
        encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": [referrer]}),
        INDEX,
        tag=digest.replace(":", "-"),
    )
    signature_tag = digest.replace(":", "-") + ".sig"
    to.push_manifest(repository, tagged, MANIFEST, tag=signature_tag)
    manifests = {digest_of(each): each for each in (amd64[0], arm64, attestation, index, signature)}
    return Published(repository, digest, manifests, set(blobs), digest_of(signature), signature_tag)
