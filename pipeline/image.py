"""The image, built once: tested from within, fast and fundamental tests first, then pushed as it is.

What is pushed is what every stack runs, by its digest; nothing later builds it again.
"""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from components.source import content_tag, revision
from pipeline import docker
from pipeline.faults import StepFailed, WrongUse

DOCKERFILE = "Dockerfile"
DATABASE_IMAGE = "postgres:15-bookworm"
DATABASE_SECONDS = 60.0
#: Tag that moves with each push, for the next build's cache alone; no stack runs a tag.
CACHE_TAG = "cache"


@dataclass
class Built:
    """What was built, and the seconds that each step took; ``digest`` is empty until it is pushed."""

    reference: str
    revision: str
    digest: str = ""
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def pinned(self) -> str:
        """``REPOSITORY@sha256:DIGEST``, as the stack config names it."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def build_and_test(context: Path, repository: str, platform: str) -> Built:
    """Build the image as ``repository:<content tag>`` and test it. Raises StepFailed, or WrongUse before anything."""
    if not (context / DOCKERFILE).is_file():
        raise WrongUse(f"--context {context}: there is no {DOCKERFILE} in that folder")
    docker.check()
    commit = revision(context)
    arguments = {"REVISION": commit}
    tag = content_tag(context, DOCKERFILE, platform, arguments)
    built = Built(f"{repository}:{tag}", commit)
    common = ["--platform", platform, *docker.build_network(), "--progress", "plain"]
    test_image = f"{repository}:{tag}-test"
    with _timed(built, "lint and unit tests"):
        docker.run(
            ["build", *common, "--target", "test", "--tag", test_image, str(context)], "the image's lint and unit tests"
        )
    with _timed(built, "image"):
        variables = [f"REVISION={commit}", f"VERSION={tag}", "BUILDKIT_INLINE_CACHE=1"]
        chosen = [part for variable in variables for part in ("--build-arg", variable)]
        cache = ["--cache-from", f"{repository}:{CACHE_TAG}"]
        docker.run(["build", *common, *chosen, *cache, "--tag", built.reference, str(context)], "the image's build")
    with _database() as database:
        for command in ("ping", "migrate", "test"):
            with _timed(built, command):
                docker.in_container(built.reference, f"`{command}` in the image", [command], database)
        with _timed(built, "integration tests"):
            test_database = {f"TEST_{name}": value for name, value in database.items()}
            docker.in_container(test_image, "the integration tests", [], test_database)
    return built


def push(built: Built) -> None:
    """Push what was tested, and note under which digest the registry holds it. Raises StepFailed."""
    repository = built.reference.rpartition(":")[0]
    with _timed(built, "push"):
        docker.run(["push", built.reference], f"the push of {built.reference}")
        docker.run(["tag", built.reference, f"{repository}:{CACHE_TAG}"], "the cache's tag")
        docker.run(["push", f"{repository}:{CACHE_TAG}"], "the push of the cache")
    built.digest = docker.pushed_digest(built.reference)


@contextmanager
def _timed(built: Built, step: str) -> Generator[None]:
    print(f"== {step}", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    built.seconds[step] = round(time.monotonic() - began, 1)
    print(f"== {step}: {built.seconds[step]} s", file=sys.stderr, flush=True)


@contextmanager
def _database() -> Generator[dict[str, str]]:
    """A PostgreSQL of its own on a free port of this machine's loopback, and the variables that lead to it."""
    port = str(_free_port())
    password = secrets.token_hex(16)
    name = f"addressbook-test-{secrets.token_hex(4)}"
    settings = {"POSTGRES_USER": "addressbook", "POSTGRES_PASSWORD": password, "POSTGRES_DB": "addressbook"}
    listening = ["postgres", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with docker.container(DATABASE_IMAGE, name, listening, settings):
        deadline = time.monotonic() + DATABASE_SECONDS
        # Over TCP: the socket answers already while the image still initialises the database.
        while not docker.answers(name, "pg_isready", "-h", "127.0.0.1", "-p", port, "-U", "addressbook"):
            if time.monotonic() > deadline:
                raise StepFailed(f"the PostgreSQL for the tests does not answer after {DATABASE_SECONDS:.0f} s")
            time.sleep(0.3)
        yield {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": port,
            "DB_SCHEMA": "addressbook",
            "DB_USER": "addressbook",
            "DB_PASSWORD": password,
            "DB_SSL": "false",
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
