"""The images in the lab's registry: those that the lab itself runs, and base images for builds.

Base images come from Docker Hub, or are built from Debian packages where Docker Hub is out of reach. Both are kept in
the cache and pushed from there into the registry of a new lab.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import debian, refusal_cache, supervisor, toolchain
from lab.component import PROBE_SECONDS
from lab.errors import LabError
from lab.layout import PACKAGE, Lab
from lab.lock import exclusive
from lab.packages import BUSYBOX
from lab.progress import say, step

RECIPES = PACKAGE / "images"
HUB = "hub"  # origin of a cached image that was not built here; otherwise its recipe's key
HUB_SECONDS = 20  # longest wait for an answer of Docker Hub
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
)


@dataclass(frozen=True)
class Image:
    """An image of the lab's registry, and how it is built: a Dockerfile in `lab/images` with files beside it."""

    repository: str
    tag: str
    recipe: str
    prepare: Callable[[Lab, Path], None]  # adds files to the build context
    ingredients: Callable[[Lab], list[Path]]  # further files that decide what is built
    on_hub: bool = True

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.tag}"

    def key(self, lab: Lab) -> str:
        """Return the first 12 hexadecimal digits of the hash of everything the image is built from."""
        digest = hashlib.sha256()
        for file in [*sorted((RECIPES / self.recipe).iterdir()), *self.ingredients(lab)]:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]

    def in_cache(self, lab: Lab) -> bool:
        return self.built_here(lab) or self.cached(lab, HUB).exists()

    def built_here(self, lab: Lab) -> bool:
        """Return whether the cached image was built here, instead of pulled from Docker Hub."""
        return not self.cached(lab, HUB).exists() and self.cached(lab, self.key(lab)).exists()

    def cached(self, lab: Lab, origin: str) -> Path:
        name = f"{self.repository.replace('/', '-')}-{self.tag}-{origin}"
        return lab.cache / "images" / name


def _nothing(_lab: Lab, _context: Path) -> None:
    pass


def _pause(lab: Lab, context: Path) -> None:
    shutil.copy(toolchain.ADDONS.binaries(lab) / "pause", context)


def _busybox(_lab: Lab, context: Path) -> None:
    shutil.copy(BUSYBOX, context)


def _debian_image(lab: Lab) -> list[Path]:
    """Return what the Debian image is built from."""
    return [*sorted((RECIPES / "debian").iterdir()), *debian.ingredients(lab)]


IMAGES = [
    Image("lab/pause", "1", "pause", _pause, lambda lab: [toolchain.ADDONS.binaries(lab) / "pause"], on_hub=False),
    Image("lab/busybox", "1", "busybox", _busybox, lambda _: [BUSYBOX], on_hub=False),
    Image("library/debian", "bookworm-slim", "debian", debian.prepare, debian.ingredients),
    Image("library/python", "3.11-slim-bookworm", "python", _nothing, _debian_image),
    Image("library/postgres", "15-bookworm", "postgres", _nothing, _debian_image),
]


BASE_IMAGES = [image for image in IMAGES if image.on_hub]


def missing(lab: Lab, images: list[Image] = IMAGES) -> list[Image]:
    """Return the images that the registry does not have."""
    return [image for image in images if not _in_registry(lab, image)]


def _in_registry(lab: Lab, image: Image) -> bool:
    connection = http.client.HTTPConnection(lab.host_address, 5000, timeout=PROBE_SECONDS)
    try:
        path = f"/v2/{image.repository}/manifests/{image.tag}"
        connection.request("HEAD", path, headers={"Accept": MANIFEST_TYPES})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def ensure(lab: Lab, images: list[Image]) -> None:
    """Push the images that the registry does not have, after adding missing ones to the cache. Raises LabError."""
    absent = missing(lab, images)
    cached = [image for image in absent if image.in_cache(lab)]
    if cached:  # first, because the others may be built on one of them
        with step("images into the registry"):
            for image in cached:
                _push(lab, image, _obtain(lab, image))
    for image in absent:
        if image not in cached:
            _push(lab, image, _obtain(lab, image))


def _obtain(lab: Lab, image: Image) -> Path:
    """Return the image's folder in the cache, pulling or building it first where it is missing."""
    from_hub, built = image.cached(lab, HUB), image.cached(lab, image.key(lab))
    for folder in (from_hub, built):
        if folder.exists():
            return folder
    with exclusive(lab.cache / "locks" / f"image-{built.name}.lock", f"the image {image.reference}"):
        if built.exists():
            return built
        if image.on_hub and _pulled(lab, image, from_hub):
            return from_hub
        origin = " from Debian packages" if image in BASE_IMAGES else ""
        with step(f"build the image {image.reference}{origin} (once; kept in the cache)"):
            _build(lab, image, built)
    return built


def _pulled(lab: Lab, image: Image, folder: Path) -> bool:
    if refusal_cache.refused(lab, "docker-hub"):
        return False
    unfinished = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    source = f"docker://docker.io/{image.reference}"
    if error := _skopeo(lab, "inspect", "--raw", source, seconds=HUB_SECONDS):
        reason = error.splitlines()[-1][-200:]
        refusal_cache.refuse(lab, "docker-hub", reason)
        say(f"  Docker Hub is out of reach, so base images are built from Debian packages ({reason})")
        return False
    with step(f"pull {image.reference} from Docker Hub"):
        if error := _skopeo(lab, "copy", source, f"dir:{unfinished}"):
            raise LabError(f"{image.reference} cannot be pulled from Docker Hub: {error}")
    unfinished.replace(folder)
    return True


def _build(lab: Lab, image: Image, folder: Path) -> None:
    unfinished = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=unfinished.parent, prefix=".context-") as context:
        shutil.copytree(RECIPES / image.recipe, context, dirs_exist_ok=True)
        image.prepare(lab, Path(context))
        reference = f"{lab.registry}/{image.reference}"
        _docker(lab, "build", "--network=host", f"--tag={reference}", context)
        _docker(lab, "push", reference)
    if error := _skopeo(lab, "copy", "--src-tls-verify=false", f"docker://{reference}", f"dir:{unfinished}"):
        raise LabError(f"{image.reference} cannot be copied into the cache: {error}")
    unfinished.replace(folder)


def _push(lab: Lab, image: Image, folder: Path) -> None:
    if _in_registry(lab, image):
        return
    target = f"docker://{lab.registry}/{image.reference}"
    if error := _skopeo(lab, "copy", "--dest-tls-verify=false", f"dir:{folder}", target):
        raise LabError(f"{image.reference} cannot be pushed into the lab's registry: {error}")


def _skopeo(lab: Lab, *arguments: str, seconds: int = 600) -> str:
    """Run skopeo where it writes to the lab's own /var/lib. Return its error message, empty if it succeeded."""
    command = [*supervisor.in_mounts(lab), "skopeo", "--insecure-policy", f"--command-timeout={seconds}s", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stderr.strip() or f"exit code {result.returncode}"


def _docker(lab: Lab, *arguments: str) -> None:
    """Run Docker's client against the lab's engine. Raises LabError with the end of its output."""
    environment = {**os.environ, "DOCKER_HOST": f"unix://{lab.docker_socket}", "DOCKER_BUILDKIT": "1"}
    # Debian's client builds with BuildKit by itself; a client of another origin may need a plugin for that.
    client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
    result = subprocess.run([client, *arguments], capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        end = "\n".join((result.stderr or result.stdout).strip().splitlines()[-12:])
        raise LabError(f"`docker {arguments[0]}` failed in the lab's Docker Engine:\n{end}")
