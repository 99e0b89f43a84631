"""The image, built once: tested from within, fast and fundamental tests first, then pushed as it is.

What is pushed is what every stack runs, by its digest; nothing later builds it again.
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
from pipeline.base_image import ARGUMENT, default_of, parsed, pinned
from pipeline.faults import StepFailed, WrongUse

DOCKERFILE = "Dockerfile"
DATABASE_IMAGE = "postgres:15-bookworm"
DATABASE_SECONDS = 60.0
#: Tag that moves with each push, for the next build's cache alone; no stack runs a tag.
CACHE_TAG = "cache"


@dataclass
class Built:
    """What was built, and the seconds that each step took; ``digest`` is empty until it is pushed.

    ``base`` is the image that it is built on (empty where the Dockerfile leaves no choice), ``database`` the one that
    it was tested with: both by digest, where their registry could be asked.
    """

    reference: str
    revision: str
    base: str
    database: str
    digest: str = ""
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def pinned(self) -> str:
        """``REPOSITORY@sha256:DIGEST``, as the stack config names it."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def build_and_test(context: Path, repository: str, platform: str, base_image: str = "") -> Built:
    """Build the image as ``repository:<content tag>`` and test it. Raises StepFailed, or WrongUse before anything.

    ``base_image`` is what it is built on instead of what the Dockerfile names. The base's digest is part of what the
    tag is made of: another base gives another tag.
    """
    wanted = _wanted_base(context, base_image)
    docker.check()
    base = pinned(wanted, platform) if wanted else None
    commit = revision(context)
    arguments = {"REVISION": commit, **({ARGUMENT: base.reference} if base else {})}
    tag = content_tag(context, DOCKERFILE, platform, arguments)
    built = Built(f"{repository}:{tag}", commit, base.reference if base else "", pinned(DATABASE_IMAGE).reference)
    test_image = f"{repository}:{tag}-test"

    def build(what: str, variables: Mapping[str, str], *options: str) -> None:
        chosen = [part for name, value in variables.items() for part in ("--build-arg", f"{name}={value}")]
        common = ["--platform", platform, *docker.build_network(), "--progress", "plain"]
        docker.run(["build", *common, *chosen, *options, str(context)], what)

    with _timed(built, "lint and unit tests"):
        on_base = {ARGUMENT: base.reference} if base else {}
        build("the image's lint and unit tests", on_base, "--target", "test", "--tag", test_image)
    with _timed(built, "image"):
        variables = {**arguments, "VERSION": tag, "BUILDKIT_INLINE_CACHE": "1"}
        source = origin(context)
        labels = {**(base.labels if base else {}), **({"org.opencontainers.image.source": source} if source else {})}
        options = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
        options += ["--cache-from", f"{repository}:{CACHE_TAG}", "--tag", built.reference]
        build("the image's build", variables, *options)
    _test(built, test_image)
    return built


def _wanted_base(context: Path, base_image: str) -> str:
    """The base that is asked for, else the Dockerfile's own; empty where it leaves no choice. Raises WrongUse."""
    dockerfile = context / DOCKERFILE
    if not dockerfile.is_file():
        raise WrongUse(f"--context {context}: there is no {DOCKERFILE} in that folder")
    default = default_of(dockerfile)
    if not default and base_image:
        raise WrongUse(f"--base-image: {dockerfile} takes none; begin it with `ARG {ARGUMENT}=NAME:TAG`, and use that")
    if base_image:
        parsed(base_image)
    return base_image or default


def _test(built: Built, test_image: str) -> None:
    """The service's own commands in the image, then the integration tests, against a PostgreSQL. Raises StepFailed."""
    with _database(built.database) as database:
        for command in ("ping", "migrate", "test"):
            with _timed(built, command):
                docker.in_container(built.reference, f"`{command}` in the image", [command], database)
        with _timed(built, "integration tests"):
            test_database = {f"TEST_{name}": value for name, value in database.items()}
            docker.in_container(test_image, "the integration tests", [], test_database)


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
def _database(image: str) -> Generator[dict[str, str]]:
    """A PostgreSQL of its own on a free port of this machine's loopback, and the variables that lead to it."""
    port = str(_free_port())
    password = secrets.token_hex(16)
    name = f"addressbook-test-{secrets.token_hex(4)}"
    settings = {"POSTGRES_USER": "addressbook", "POSTGRES_PASSWORD": password, "POSTGRES_DB": "addressbook"}
    listening = ["postgres", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with docker.container(image, name, listening, settings):
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
