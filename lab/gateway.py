"""What a stack with `gateway: traefik` needs: Traefik's image in the registry, and the kinds that it serves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from lab import api, golang, images, toolchain
from lab.errors import LabError
from lab.images import Image
from lab.layout import Lab
from lab.lock import exclusive
from lab.progress import step
from lab.tool import SOURCES
from lab.toolchain import TRAEFIK

ESTABLISHED_SECONDS = 30  # the API server takes less than a second
#: Folder of a go.mod, a Go module in it, and where its definitions are: the Gateway API's, and Traefik's for `sticky`.
DEFINITIONS = (
    (SOURCES / "gateway-api", "sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_*.yaml"),
    (
        TRAEFIK.source,
        "github.com/traefik/traefik/v3",
        "docs/content/reference/dynamic-configuration/traefik.io_*.yaml",
    ),
)


def _traefik(lab: Lab, context: Path) -> None:
    toolchain.ensure(lab, TRAEFIK)
    shutil.copy(TRAEFIK.binaries(lab) / "traefik", context)


def _ingredients(_lab: Lab) -> list[Path]:
    return [TRAEFIK.source / "go.mod", TRAEFIK.source / "go.sum"]


IMAGE = Image("library/traefik", "v3.6.12", "traefik", _traefik, _ingredients)


def ensure(lab: Lab) -> None:
    """Prepare the lab for stacks with a Gateway; build Traefik if no registry has it. Raises LabError."""
    images.ensure(lab, [IMAGE])
    files = sorted(_definitions(lab).iterdir())
    kubectl = toolchain.KUBERNETES.binaries(lab) / "kubectl"
    with step("definitions of the Gateway API"):
        api.apply(kubectl, lab, "\n---\n".join(file.read_text(encoding="utf-8") for file in files))
        names = [f"crd/{plural}.{group}" for group, _, plural in (file.stem.partition("_") for file in files)]
        wait = ["wait", "--for=condition=Established", f"--timeout={ESTABLISHED_SECONDS}s", *names]
        command = [str(kubectl), "--kubeconfig", str(lab.kubeconfig), *wait]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise LabError(f"The API server does not serve the Gateway API: {result.stderr.strip()}")


def _definitions(lab: Lab) -> Path:
    """Return the cache's folder with the definitions, after getting them from their Go modules."""
    versions = b"".join((source / "go.sum").read_bytes() for source, _, _ in DEFINITIONS)
    folder = lab.cache / "tools" / f"gateway-definitions-{hashlib.sha256(versions).hexdigest()[:12]}"
    with exclusive(lab.cache / "locks" / "gateway-definitions.lock", "getting the definitions of the Gateway API"):
        if not folder.exists():
            unfinished = folder.with_name(f".{folder.name}-unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            with step("get the definitions of the Gateway API (once; kept in the cache)"):
                _copy_definitions(golang.find(lab), unfinished)
            unfinished.replace(folder)
    return folder


def _copy_definitions(go: Path, folder: Path) -> None:
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    for source, module, pattern in DEFINITIONS:
        answer = golang.run(go, ["mod", "download", "-json", module], source, environment, tries=4)
        for file in Path(json.loads(answer)["Dir"]).glob(pattern):
            shutil.copy(file, folder)
