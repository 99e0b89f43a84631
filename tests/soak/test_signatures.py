"""Signatures and attestations with the real cosign, regctl and registries; building cosign takes minutes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import registry_client
from contract.settings import ReleaseSettings
from lab import toolchain as tools
from lab.layout import Lab
from pipeline import attestation
from pipeline.image import BuildResult
from stacks import signing
from tests.e2e.registries import MANIFEST, Registry, encoded, image_manifest, registry

REPOSITORY = "team/addressbook"


@pytest.fixture(scope="module")
def ci(toolchain: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """CI's registry; cosign, regctl and a simulated syft are on PATH, and the folder has two pairs of keys."""
    lab, folder = Lab.from_environment(), tmp_path_factory.mktemp("signatures")
    tools.ensure(lab, tools.COSIGN)
    syft = folder / "bin" / "syft"
    syft.parent.mkdir()
    # The last argument is spdx-json=FILE.
    syft.write_text('#!/bin/bash\nlast=${*: -1}\necho \'{"spdxVersion": "SPDX-2.3"}\' > "${last#spdx-json=}"\n')
    syft.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch, registry(folder / "registry") as running:
        patch.setenv("PATH", os.pathsep.join([str(syft.parent), str(tools.COSIGN.binaries(lab)), toolchain["PATH"]]))
        patch.setenv("COSIGN_PASSWORD", "")
        patch.chdir(folder)
        for name in ("ours", "theirs"):
            subprocess.run(["cosign", "generate-key-pair", "--output-key-prefix", name], check=True)
        yield running


@pytest.fixture(autouse=True)
def first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "own_outputs", dict[str, Any])
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")


def pushed(to: Registry) -> BuildResult:
    """Push an image of one layer, new each time."""
    layer, configuration = os.urandom(64), encoded({"architecture": "amd64", "os": "linux"})
    for content in (layer, configuration):
        to.push_blob(REPOSITORY, content)
    digest = to.push_manifest(REPOSITORY, image_manifest(configuration, layer), MANIFEST)
    return BuildResult(f"{to.host}/{REPOSITORY}:src-1", "c" * 40, "", "", digest)


def attest(image: BuildResult, signer: str) -> None:
    attestation.attest(image, "https://github.com/acme/addressbook", "linux/amd64", signer, {})


def refusal(image: str) -> str:
    """Return why the image is refused; "" if it is not."""
    release = ReleaseSettings.model_validate({"stableImage": image, "imageVerification": "ours.pub"})
    try:
        signing.refuse_unsigned(release)
    except pulumi.RunError as error:
        return str(error)
    return ""


def referrers(image: str) -> set[str]:
    """Return the types of what refers to the image."""
    with registry_client._configured(None, image) as environment:
        listed = registry_client._run(["artifact", "list", image, "--format", "{{json .}}"], environment)
    return {each["artifactType"] for each in json.loads(listed)["descriptors"]}


def test_only_the_right_signature_is_accepted(ci: Registry):
    signed, unsigned, wrong = (pushed(ci) for _ in range(3))
    attest(signed, "ours.key")
    attest(wrong, "theirs.key")
    assert refusal(signed.pinned) == ""
    for image in (unsigned, wrong):
        reason = refusal(image.pinned)
        assert f"stableImage: {image.pinned} has no valid signature of the signer in imageVerification" in reason
        assert len(reason.splitlines()) == 2, "one sentence under the title"


def test_copies_keep_signature_and_attestations(ci: Registry, tmp_path: Path):
    signed, unsigned = pushed(ci), pushed(ci)
    attest(signed, "ours.key")
    attest(unsigned, "")
    assert {attestation.SPDX, attestation.IN_TOTO} <= referrers(unsigned.pinned)
    with registry(tmp_path / "registry") as production:
        target = f"{production.host}/prod/addressbook"
        for image in (signed, unsigned):
            registry_client.copy(image.pinned, target, "release-1", None)
            assert referrers(f"{target}@{image.digest}") == referrers(image.pinned)
        assert refusal(f"{target}@{signed.digest}") == ""


def test_a_silent_registry_refuses_the_image(ci: Registry):
    closed = f"127.0.0.1:9/{REPOSITORY}@sha256:{'a' * 64}"
    assert "connection refused" in refusal(closed)
