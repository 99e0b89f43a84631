"""What anyone can check about a pushed image, kept beside it in the registry as OCI referrers.

A list of what it contains (SBOM, in SPDX), where it comes from (provenance, in SLSA's form) and, with a key, signatures
of both and of the image. Copies of the image take them along.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import registry_client
from components.registry_client import RegistryError
from contract.image import digest_of, repository_of
from pipeline.errors import StepError, UsageError
from pipeline.image import BuildResult

#: Sign by the identity of the CI job instead of a key.
KEYLESS = "keyless"
SPDX = "application/spdx+json"
IN_TOTO = "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
#: What `python -m pipeline image` does, in provenance: its parameters mean what this file says.
BUILD_TYPE = "urn:addressbook-delivery:pipeline:image:v1"
#: cosign's settings for a signature by a key: no transparency log, which would publish the names of private images.
NO_LOG: Mapping[str, Any] = {
    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    "rekorTlogConfig": {},
    "tsaConfig": {},
}


def check(signer: str) -> None:
    """Raise UsageError if a tool is missing. ``signer`` is a key in cosign's notation, "keyless", or "" for none."""
    tools = ["syft", registry_client.TOOL, *(["cosign"] if signer else [])]
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        raise UsageError(
            f"--attest needs {', '.join(missing)} on PATH; `.github/tools '' {' '.join(tools)}` builds what is missing"
        )


def attest(result: BuildResult, source: str, platform: str, signer: str, environment: Mapping[str, str]) -> None:
    """Attach SBOM and provenance to the pushed image, signed if there is a signer, and sign the image.

    ``source`` is the address of the repository, ``environment`` tells the CI run. Raises StepError.
    """
    with tempfile.TemporaryDirectory(prefix="attestation-") as name:
        folder = Path(name)
        sbom, predicate = folder / "sbom.spdx.json", folder / "provenance.json"
        described = ["--source-name", repository_of(result.pinned), "--source-version", digest_of(result.pinned)]
        _run(["syft", "scan", f"docker:{result.reference}", *described, "--quiet", "--output", f"spdx-json={sbom}"])
        predicate.write_text(json.dumps(provenance(result, source, platform, environment), indent=2))
        if signer:
            options = ["--yes", *_signing(signer, folder)]
            for kind, file in (("spdxjson", sbom), ("slsaprovenance1", predicate)):
                _run(["cosign", "attest", "--type", kind, "--predicate", str(file), *options, result.pinned])
            _run(["cosign", "sign", *options, result.pinned])
        else:
            statement = folder / "statement.json"
            statement.write_text(json.dumps(_statement(result, json.loads(predicate.read_text()))))
            _attach(result.pinned, {SPDX: sbom, IN_TOTO: statement})


def provenance(result: BuildResult, source: str, platform: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return SLSA's predicate: what was built from which sources, and by which run."""
    commit = result.revision.removesuffix("-dirty")
    sources = [{"uri": f"git+{source}", "digest": {"gitCommit": commit}}] if source and commit else []
    bases = [_dependency(image) for image in (result.base,) if image]
    builder, run = _ci_run(environment)
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"source": source, "revision": result.revision, "platform": platform},
            "resolvedDependencies": [*sources, *bases],
        },
        "runDetails": {
            "builder": {"id": builder or f"{BUILD_TYPE}:unattended"},
            "metadata": {"invocationId": run} if run else {},
        },
    }


def _ci_run(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the addresses of the CI's pipeline and of its run, from the variables of GitHub or Semaphore; or ""."""
    if server := environment.get("GITHUB_SERVER_URL"):
        repository, run = environment["GITHUB_REPOSITORY"], environment["GITHUB_RUN_ID"]
        return f"{server}/{environment['GITHUB_WORKFLOW_REF']}", f"{server}/{repository}/actions/runs/{run}"
    if server := environment.get("SEMAPHORE_ORGANIZATION_URL"):
        project, run = environment["SEMAPHORE_PROJECT_NAME"], environment["SEMAPHORE_WORKFLOW_ID"]
        return f"{server}/projects/{project}", f"{server}/workflows/{run}"
    return "", ""


def _dependency(image: str) -> dict[str, Any]:
    name, digest = repository_of(image), digest_of(image)
    return {"uri": f"docker://{name}", **({"digest": {"sha256": digest.partition(":")[2]}} if digest else {})}


def _statement(result: BuildResult, predicate: Mapping[str, Any]) -> dict[str, Any]:
    digest = {"sha256": digest_of(result.pinned).partition(":")[2]}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": repository_of(result.pinned), "digest": digest}],
        "predicateType": PROVENANCE,
        "predicate": predicate,
    }


def _signing(signer: str, folder: Path) -> list[str]:
    """Return cosign's options. A key may be `env://NAME`, with its password in COSIGN_PASSWORD."""
    if signer == KEYLESS:
        return []
    settings = folder / "signing-config.json"
    settings.write_text(json.dumps(NO_LOG))
    return ["--key", signer, "--signing-config", str(settings)]


def _attach(image: str, files: Mapping[str, Path]) -> None:
    for kind, file in files.items():
        try:
            registry_client.attach(image, file, kind)
        except RegistryError as error:
            raise StepError(f"{kind} could not be attached to {image}: {error}") from None


def _run(command: list[str]) -> None:
    environment = {"COSIGN_PASSWORD": "", **os.environ}  # cosign asks for it otherwise
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, env=environment, check=False)
    if done.returncode:
        raise StepError(f"`{' '.join(command[:2])}` failed (exit code {done.returncode}); its output is above")
