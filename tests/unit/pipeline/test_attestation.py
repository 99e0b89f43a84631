"""What is kept beside a pushed image: its content, its origin and signatures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from components import registry_client
from pipeline import attestation, docker, image
from pipeline.cli import main
from pipeline.errors import StepError, UsageError
from pipeline.image import BuildResult

DIGEST, BASE = "sha256:" + "a" * 64, "sha256:" + "b" * 64
COMMIT = "c" * 40
RESULT = BuildResult("registry.example/addressbook:src-1", COMMIT, f"docker.io/library/python:3@{BASE}", "", DIGEST)
IMAGE = f"registry.example/addressbook@{DIGEST}"
SOURCE = "https://github.com/acme/addressbook"
GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/addressbook",
    "GITHUB_RUN_ID": "7",
    "GITHUB_WORKFLOW_REF": "acme/addressbook/.github/workflows/main.yaml@refs/heads/main",
}

SEMAPHORE = {
    "SEMAPHORE_ORGANIZATION_URL": "https://acme.semaphoreci.com",
    "SEMAPHORE_PROJECT_NAME": "addressbook",
    "SEMAPHORE_WORKFLOW_ID": "7-8",
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Simulated syft and cosign on PATH, which log their arguments."""
    file = tmp_path / "log"
    for name in ("syft", "cosign", "regctl"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {file}\necho "{{}}" > "${{!#}}" 2>/dev/null\nexit 0\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return file


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What regctl would attach, by media type."""
    files: dict[str, Any] = {}

    def attach(image: str, file: Path, media_type: str) -> None:
        assert image == IMAGE
        files[media_type] = json.loads(file.read_text()) if file.exists() else None

    monkeypatch.setattr(registry_client, "attach", attach)
    return files


def test_unsigned_documents_are_attached(log: Path, attached: dict[str, Any]):
    attestation.attest(RESULT, SOURCE, "linux/amd64", "", GITHUB)
    assert log.read_text().startswith(
        f"syft scan docker:{RESULT.reference} --source-name registry.example/addressbook --source-version {DIGEST}"
    )
    assert "cosign" not in log.read_text()
    assert attached.keys() == {attestation.SPDX, attestation.IN_TOTO}
    statement = attached[attestation.IN_TOTO]
    assert statement["subject"] == [{"name": "registry.example/addressbook", "digest": {"sha256": "a" * 64}}]
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"


@pytest.mark.parametrize("signer", ["env://KEY", "keyless"])
def test_a_signer_signs_documents_and_then_the_image(log: Path, attached: dict[str, Any], signer: str):
    attestation.attest(RESULT, SOURCE, "linux/amd64", signer, {})
    calls = [line for line in log.read_text().splitlines() if line.startswith("cosign")]
    assert [call.split()[1] for call in calls] == ["attest", "attest", "sign"]
    assert ["--type spdxjson" in calls[0], "--type slsaprovenance1" in calls[1]] == [True, True]
    assert all(call.endswith(IMAGE) and "--yes" in call for call in calls)
    assert all(("--key env://KEY --signing-config" in call) is (signer != "keyless") for call in calls)
    assert attached == {}


def test_provenance_names_sources_base_and_run():
    document = attestation.provenance(RESULT, SOURCE, "linux/amd64", GITHUB)
    assert document["buildDefinition"]["resolvedDependencies"] == [
        {"uri": f"git+{SOURCE}", "digest": {"gitCommit": COMMIT}},
        {"uri": "docker://docker.io/library/python:3", "digest": {"sha256": "b" * 64}},
    ]
    assert document["runDetails"] == {
        "builder": {"id": "https://github.com/acme/addressbook/.github/workflows/main.yaml@refs/heads/main"},
        "metadata": {"invocationId": f"{SOURCE}/actions/runs/7"},
    }
    assert attestation.provenance(RESULT, "", "linux/amd64", SEMAPHORE)["runDetails"] == {
        "builder": {"id": "https://acme.semaphoreci.com/projects/addressbook"},
        "metadata": {"invocationId": "https://acme.semaphoreci.com/workflows/7-8"},
    }
    assert attestation.provenance(RESULT, "", "linux/amd64", {})["runDetails"]["metadata"] == {}


def test_a_failing_tool_fails_the_step(log: Path, attached: dict[str, Any]):
    (log.parent / "syft").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(StepError, match=r"`syft scan` failed \(exit code 3\)"):
        attestation.attest(RESULT, SOURCE, "linux/amd64", "", {})
    assert attached == {}


def test_missing_tools_are_reported_before_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="--attest needs syft, regctl, cosign on PATH"):
        attestation.check("keyless")


@pytest.mark.parametrize(
    ("options", "message"), [(["--attest"], "add --push"), (["--push", "--sign", "keyless"], "add --attest")]
)
def test_only_a_pushed_image_is_attested(options: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["image", "--repository", "registry.example/addressbook", *options]) == 2
    assert message in capsys.readouterr().err


def test_the_cache_tag_comes_after_attestation(monkeypatch: pytest.MonkeyPatch):
    """The daily run takes the base image of this tag for one that was shipped."""
    done: list[str] = []

    def run(command: list[str], _what: str) -> None:
        done.append(" ".join(command))

    def attest(*_: object) -> None:
        done.append("attest")

    monkeypatch.setattr(attestation, "check", lambda _signer: None)
    monkeypatch.setattr(attestation, "attest", attest)
    monkeypatch.setattr(image, "build_and_test", lambda *_: RESULT)
    monkeypatch.setattr(docker, "run", run)
    monkeypatch.setattr(docker, "pushed_digest", lambda _reference: DIGEST)
    assert main(["image", "--repository", "registry.example/addressbook", "--push", "--attest"]) == 0
    cache = "registry.example/addressbook:cache"
    assert done == [f"push {RESULT.reference}", "attest", f"tag {RESULT.reference} {cache}", f"push {cache}"]
