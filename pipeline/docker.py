"""Build, run and push with the Docker command line and BuildKit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from pipeline.errors import StepError, UsageError

ENVIRONMENT = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
#: Last major version of the client with BuildKit built in; later ones need the buildx plugin.
LAST_WITH_BUILDKIT = 22
#: The engine's message, with either image store, when the registry has no such image.
NOT_FOUND = re.compile(
    r"manifest unknown|name unknown|manifest for \S+ not found|failed to resolve reference .*: not found"
)


def check() -> None:
    """Raise UsageError if no client supports BuildKit or no Docker Engine is reachable."""
    result = subprocess.run([client(), "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True)
    if result.returncode:
        raise UsageError(f"the Docker Engine does not answer: {result.stderr.strip()}")


@cache
def client() -> str:
    """Return the first `docker` on PATH that supports BuildKit. Raises UsageError if there is none."""
    path, unsuitable = find_client(folders_on_path())
    if path:
        return path
    reason = (
        f"{' and '.join(unsuitable)} cannot build with BuildKit" if unsuitable else "there is no docker command on PATH"
    )
    raise UsageError(f"{reason}: install Docker with its buildx plugin")


def folders_on_path() -> list[str]:
    """Return the folders on PATH, in order."""
    return os.environ.get("PATH", "").split(os.pathsep)


def find_client(folders: Sequence[str], timeout: float | None = None) -> tuple[str, list[str]]:
    """Return the first `docker` in these folders that supports BuildKit ("" if none), and unsuitable ones before it.

    ``timeout`` is for each call of a client, in seconds.
    """
    unsuitable: list[str] = []
    for folder in folders:
        path = shutil.which("docker", path=folder)
        if path and path not in unsuitable:
            if _supports_buildkit(path, timeout):
                return path, unsuitable
            unsuitable.append(path)
    return "", unsuitable


def _supports_buildkit(path: str, timeout: float | None) -> bool:
    if subprocess.run([path, "buildx", "version"], capture_output=True, timeout=timeout).returncode == 0:
        return True
    command = [path, "version", "--format", "{{.Client.Version}}"]
    # The client prints its own version even if the engine is down.
    output = subprocess.run(command, capture_output=True, text=True, timeout=timeout).stdout
    major = output.strip().partition(".")[0]
    return major.isdecimal() and 0 < int(major) <= LAST_WITH_BUILDKIT


def build_network() -> list[str]:
    """Return ``--network host`` for an engine without a bridge network."""
    drivers = _output("network", "ls", "--format", "{{.Driver}}")
    return [] if "bridge" in drivers.split() else ["--network", "host"]


def run(arguments: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a docker command and show its output as progress. Raises StepError."""
    done = subprocess.run(
        [client(), *arguments], env={**os.environ, **ENVIRONMENT, **(environment or {})}, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise StepError(f"{what} failed (exit code {done.returncode}); its output is above")


@contextmanager
def container(image: str, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Generator[str]:
    """Run a container in the background inside this context. Values travel in the environment, invisible to `ps`."""
    variables = [part for key in environment for part in ("--env", key)]
    command = [client(), "run", "--detach", "--rm", "--network", "host", "--name", name, *variables, image, *arguments]
    started = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    try:
        if started.returncode:
            raise StepError(f"container {name} does not start: {started.stderr.strip()}")
        yield name
    finally:
        subprocess.run([client(), "rm", "--force", "--volumes", name], capture_output=True)


def in_container(image: str, what: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command in a container and wait for it. Raises StepError."""
    variables = [part for key in environment for part in ("--env", key)]
    run(["run", "--rm", "--network", "host", *variables, image, *arguments], what, environment)


def answers(name: str, *command: str) -> bool:
    """Return whether a command succeeds in a running container."""
    return subprocess.run([client(), "exec", name, *command], capture_output=True).returncode == 0


def pulled_digest(reference: str, platform: str = "") -> str:
    """Pull a tag and return its digest; the engine uses its configured registries and mirrors.

    The build starts from the pulled image, so nothing is fetched twice. Raises StepError.
    """
    output = _output("pull", *(["--platform", platform] if platform else []), reference)
    match = re.search(r"^Digest: (sha256:[0-9a-f]{64})$", output, re.MULTILINE)
    if not match:
        raise StepError(f"the Docker Engine reported no digest for {reference}")
    return match[1]


def pulled_label(reference: str, label: str) -> str | None:
    """Pull an image and return its label, "" if it lacks the label, or None if the registry has no such image.

    Raises StepError if the registry does not answer.
    """
    try:
        _output("pull", "--quiet", reference)
    except StepError as error:
        if NOT_FOUND.search(str(error)):
            return None
        raise
    return _output("image", "inspect", "--format", f'{{{{index .Config.Labels "{label}"}}}}', reference).strip()


def pushed_digest(reference: str) -> str:
    """Return the digest under which the registry stores an image pushed as ``reference``. Raises StepError."""
    repository = reference.rpartition(":")[0]
    digests: list[str] = json.loads(_output("image", "inspect", "--format", "{{json .RepoDigests}}", reference))
    for each in digests:
        if each.startswith(f"{repository}@"):
            return each.partition("@")[2]
    raise StepError(f"the Docker Engine reported no digest for the pushed image {reference}")


def _output(*arguments: str) -> str:
    result = subprocess.run([client(), *arguments], capture_output=True, text=True)
    if result.returncode:
        raise StepError(f"`docker {' '.join(arguments)}` failed: {result.stderr.strip()}")
    return result.stdout
