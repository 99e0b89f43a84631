"""The Docker Engine's own command line, with BuildKit: build, run, push."""

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

from pipeline.faults import StepFailed, WrongUse

ENVIRONMENT = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}


#: The last major version whose client builds with BuildKit by itself; later ones need the buildx plugin for it.
LAST_WITH_BUILDKIT = 22


def check() -> None:
    """Raises WrongUse when no client builds with BuildKit, or there is no Docker Engine to be reached."""
    asked = subprocess.run([client(), "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True)
    if asked.returncode:
        raise WrongUse(f"the Docker Engine does not answer: {asked.stderr.strip()}")


@cache
def client() -> str:
    """The first `docker` on PATH that builds with BuildKit. Raises WrongUse where there is none."""
    found, others = find_client(folders_on_path())
    if found:
        return found
    reason = f"{' and '.join(others)} can't build with BuildKit" if others else "there is no docker command on PATH"
    raise WrongUse(f"{reason}: install Docker with its buildx plugin")


def folders_on_path() -> list[str]:
    """Where commands are looked for, in that order."""
    return os.environ.get("PATH", "").split(os.pathsep)


def find_client(folders: Sequence[str], timeout: float | None = None) -> tuple[str, list[str]]:
    """The first `docker` in these folders that builds with BuildKit, "" for none; and those before it, which don't.

    ``timeout`` is for each question to a client, in seconds.
    """
    others: list[str] = []
    for folder in folders:
        path = shutil.which("docker", path=folder)
        if path and path not in others:
            if _builds(path, timeout):
                return path, others
            others.append(path)
    return "", others


def _builds(path: str, timeout: float | None) -> bool:
    if subprocess.run([path, "buildx", "version"], capture_output=True, timeout=timeout).returncode == 0:
        return True
    asked = [path, "version", "--format", "{{.Client.Version}}"]
    # The engine may be down: the client's own version is printed all the same.
    said = subprocess.run(asked, capture_output=True, text=True, timeout=timeout).stdout
    major = said.strip().partition(".")[0]
    return major.isdecimal() and 0 < int(major) <= LAST_WITH_BUILDKIT


def build_network() -> list[str]:
    """``--network host`` for an engine that has no bridge to give a build a network of its own."""
    listed = _asked("network", "ls", "--format", "{{.Driver}}")
    return [] if "bridge" in listed.split() else ["--network", "host"]


def run(arguments: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a docker command with its output shown as progress. Raises StepFailed."""
    done = subprocess.run(
        [client(), *arguments], env={**os.environ, **ENVIRONMENT, **(environment or {})}, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise StepFailed(f"{what} failed (exit code {done.returncode}); its output is above")


@contextmanager
def container(image: str, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Generator[str]:
    """A container in the background for as long as the block runs; values go by the environment, unseen by `ps`."""
    variables = [part for key in environment for part in ("--env", key)]
    command = [client(), "run", "--detach", "--rm", "--network", "host", "--name", name, *variables, image, *arguments]
    started = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    try:
        if started.returncode:
            raise StepFailed(f"container {name} does not start: {started.stderr.strip()}")
        yield name
    finally:
        subprocess.run([client(), "rm", "--force", "--volumes", name], capture_output=True)


def in_container(image: str, what: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command in a container of the image to its end. Raises StepFailed."""
    variables = [part for key in environment for part in ("--env", key)]
    run(["run", "--rm", "--network", "host", *variables, image, *arguments], what, environment)


def answers(name: str, *command: str) -> bool:
    """Whether a command in a running container succeeds."""
    return subprocess.run([client(), "exec", name, *command], capture_output=True).returncode == 0


def pulled_digest(reference: str, platform: str = "") -> str:
    """Digest that the registry has for a tag, by a pull: the engine asks the registries and mirrors that it is set to.

    What is pulled is what the build then begins with, so nothing is fetched twice. Raises StepFailed.
    """
    said = _asked("pull", *(["--platform", platform] if platform else []), reference)
    found = re.search(r"^Digest: (sha256:[0-9a-f]{64})$", said, re.MULTILINE)
    if not found:
        raise StepFailed(f"the Docker Engine does not say which digest {reference} has")
    return found[1]


def pushed_digest(reference: str) -> str:
    """Digest under which the registry holds what was pushed as ``reference``. Raises StepFailed."""
    repository = reference.rpartition(":")[0]
    digests: list[str] = json.loads(_asked("image", "inspect", "--format", "{{json .RepoDigests}}", reference))
    for each in digests:
        if each.startswith(f"{repository}@"):
            return each.partition("@")[2]
    raise StepFailed(f"the Docker Engine does not know under which digest {reference} was pushed")


def _asked(*arguments: str) -> str:
    asked = subprocess.run([client(), *arguments], capture_output=True, text=True)
    if asked.returncode:
        raise StepFailed(f"`docker {' '.join(arguments)}` failed: {asked.stderr.strip()}")
    return asked.stdout
