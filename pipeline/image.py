"""Build the image once, test it, and push exactly what was tested.

Every stack runs the pushed image by its digest; nothing builds it again. Fast, fundamental tests run first.
"""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from components.source import content_tag, origin, revision
from pipeline import docker
from pipeline.base_image import ARGUMENT, CACHE_TAG, default_of, parsed, pinned
from pipeline.errors import StepError, UsageError

DOCKERFILE = "Dockerfile"
DATABASE_IMAGE = "postgres:15-bookworm"
DATABASE_SECONDS = 60.0


@dataclass
class BuildResult:
    """The image, and the seconds that each step took; ``digest`` is empty until the image is pushed.

    ``base`` is the base image (empty if the Dockerfile has no BASE_IMAGE argument), ``database`` the PostgreSQL image
    of the tests. Both are by digest if their registry could be asked.
    """

    reference: str
    revision: str
    base: str
    database: str
    digest: str = ""
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def pinned(self) -> str:
        """``REPOSITORY@sha256:DIGEST``, as in the stack config."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def build_and_test(context: Path, repository: str, platform: str, base_image: str = "") -> BuildResult:
    """Build the image as ``repository:<content tag>`` and test it.

    Raises StepError, or UsageError before anything starts. ``base_image`` replaces the Dockerfile's base image. The
    base's digest is part of the content tag, so another base gives another tag.
    """
    base_name = _base_name(context, base_image)
    docker.check()
    base = pinned(base_name, platform) if base_name else None
    commit = revision(context)
    arguments = {"REVISION": commit, **({ARGUMENT: base.reference} if base else {})}
    tag = content_tag(context, DOCKERFILE, platform, arguments)
    result = BuildResult(
        f"{repository}:{tag}", commit, base.reference if base else "", pinned(DATABASE_IMAGE).reference
    )
    test_image = f"{repository}:{tag}-test"

    def build(what: str, variables: Mapping[str, str], *options: str) -> None:
        chosen = [part for name, value in variables.items() for part in ("--build-arg", f"{name}={value}")]
        common = ["--platform", platform, *docker.build_network(), "--progress", "plain"]
        docker.run(["build", *common, *chosen, *options, str(context)], what)

    with _timed(result, "lint and unit tests"):
        on_base = {ARGUMENT: base.reference} if base else {}
        build("the image's lint and unit tests", on_base, "--target", "test", "--tag", test_image)
    with _timed(result, "image"):
        variables = {**arguments, "VERSION": tag, "BUILDKIT_INLINE_CACHE": "1"}
        source = origin(context)
        labels = {**(base.labels if base else {}), **({"org.opencontainers.image.source": source} if source else {})}
        options = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
        options += ["--cache-from", f"{repository}:{CACHE_TAG}", "--tag", result.reference]
        build("the image's build", variables, *options)
    _test(result, test_image)
    return result


def _base_name(context: Path, base_image: str) -> str:
    """Return the requested base image, else the Dockerfile's; empty if it has no such argument. Raises UsageError."""
    dockerfile = context / DOCKERFILE
    if not dockerfile.is_file():
        raise UsageError(f"--context {context}: no {DOCKERFILE} in that folder")
    default = default_of(dockerfile)
    if not default and base_image:
        raise UsageError(
            f"--base-image: {dockerfile} ignores it; start the file with `ARG {ARGUMENT}=NAME:TAG`, build FROM it"
        )
    if base_image:
        parsed(base_image)
    return base_image or default


def _test(result: BuildResult, test_image: str) -> None:
    """Run the service's commands and the integration tests against a PostgreSQL. Raises StepError."""
    with _database(result.database) as database:
        for command in ("ping", "migrate", "test"):
            with _timed(result, command):
                docker.in_container(result.reference, f"`{command}` in the image", [command], database)
        with _timed(result, "integration tests"):
            test_database = {f"TEST_{name}": value for name, value in database.items()}
            docker.in_container(test_image, "the integration tests", [], test_database)


def push(result: BuildResult) -> None:
    """Push the tested image and record its digest. Raises StepError."""
    with _timed(result, "push"):
        docker.run(["push", result.reference], f"the push of {result.reference}")
    result.digest = docker.pushed_digest(result.reference)


def push_cache(result: BuildResult) -> None:
    """Push the image as the next build's cache. Raises StepError.

    This comes last: by this tag the daily run knows the newest base image that was shipped.
    """
    cache = f"{result.reference.rpartition(':')[0]}:{CACHE_TAG}"
    with _timed(result, "cache"):
        docker.run(["tag", result.reference, cache], "the cache's tag")
        docker.run(["push", cache], "the push of the cache")


@contextmanager
def _timed(result: BuildResult, step: str) -> Generator[None]:
    print(f"== {step}", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    result.seconds[step] = round(time.monotonic() - began, 1)
    print(f"== {step}: {result.seconds[step]} s", file=sys.stderr, flush=True)


@contextmanager
def _database(image: str) -> Generator[dict[str, str]]:
    """Run a temporary PostgreSQL on a free loopback port; yield the variables to connect to it."""
    port = str(_free_port())
    password = secrets.token_hex(16)
    name = f"addressbook-test-{secrets.token_hex(4)}"
    settings = {"POSTGRES_USER": "addressbook", "POSTGRES_PASSWORD": password, "POSTGRES_DB": "addressbook"}
    command = ["postgres", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with docker.container(image, name, command, settings):
        deadline = time.monotonic() + DATABASE_SECONDS
        # Over TCP: the socket already answers while the image is still initialising the database.
        while not docker.answers(name, "pg_isready", "-h", "127.0.0.1", "-p", port, "-U", "addressbook"):
            if time.monotonic() > deadline:
                raise StepError(f"the PostgreSQL for the tests does not answer after {DATABASE_SECONDS:.0f} s")
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
