"""Conformance of the provider `docker`: its Image, with a real engine and a real registry."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.tests.conformance.docker_engine import PASSWORD, USERNAME, DockerEngine
from lab.tests.conformance.pulumi_project import (
    OFFICIAL,
    PATIENCE,
    STAND_IN,
    PulumiProject,
    plugin_processes,
    processes,
    until,
)

VERSION = "5.2.0"
REPOSITORY = "team/tiny"
DOCKERFILE = "FROM scratch\nARG GREETING\nLABEL greeting=$GREETING\nCOPY . /\n"
BROKEN = "FROM scratch\nARG GREETING\nCOPY ${GREETING}-missing /\n"
SECRET = "hush-hush"

PROGRAM = """
    import pulumi
    import pulumi_docker as docker

    image = docker.Image(
        "tiny",
        image_name="{registry}/team/tiny:v1",
        build={{
            "context": "context",
            "dockerfile": "context/Dockerfile",
            "platform": "linux/amd64",
            "args": {{"GREETING": pulumi.Output.secret({greeting!r})}},
        }},
        registry={{
            "server": "{registry}", "username": {username!r}, "password": pulumi.Output.secret({password!r})
        }},
    )
    for name in ("base_image_name", "image_name", "registry_server", "repo_digest", "context", "dockerfile"):
        pulumi.export(name, getattr(image, name))
    pulumi.export("platform", image.platform)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """A Docker Engine and a registry for this module's tests."""
    engine = DockerEngine(tmp_path_factory.mktemp("docker"))
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


class ImageProject(PulumiProject):
    """A project with one image of two files."""

    def __init__(self, folder: Path, variant: str, engine: DockerEngine) -> None:
        super().__init__(folder, "docker", VERSION, variant)
        self._registry = engine.registry
        self.environment |= {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(folder / "docker")}
        self.context = self.folder / "context"
        self.context.mkdir()
        self.reset()

    def reset(self) -> None:
        """Write the program and the build context that every test starts with."""
        (self.context / "data.txt").write_text("one\n")
        (self.context / ".dockerignore").write_text("*.md\n")
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        self.declare()

    def declare(self, greeting: str = SECRET, username: str = USERNAME, password: str = PASSWORD) -> None:
        """Write the program."""
        values = {"greeting": greeting, "username": username, "password": password}
        self.program(PROGRAM.format(registry=self._registry, **values))


@pytest.fixture(scope="module", params=[STAND_IN, OFFICIAL])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine
) -> Iterator[ImageProject]:
    """An image project: first the stand-in, then the official plugin where it is installed."""
    project = ImageProject(tmp_path_factory.mktemp("image"), request.param, engine)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture
def project(shared: ImageProject) -> ImageProject:
    shared.reset()
    return shared


def test_failed_build_says_why_and_hides_secrets(project: ImageProject) -> None:
    (project.context / "Dockerfile").write_text(BROKEN)
    assert "repo_digest" in project.run("preview", "--diff"), "a preview builds nothing"
    output = project.up(fails=True)
    assert "-missing" in output
    assert SECRET not in output
    assert PASSWORD not in output
    project.reset()
    project.declare(password="wrong")
    output = project.up(fails=True).lower()
    assert any(text in output for text in ("unauthorized", "authentication", "no basic auth"))


def test_only_edits_build_another_image(project: ImageProject, engine: DockerEngine) -> None:
    project.up()
    digest = engine.digest(REPOSITORY, "v1")
    name = f"{engine.registry}/{REPOSITORY}:v1"
    assert project.outputs() == {
        "base_image_name": name,
        "image_name": name,
        "registry_server": engine.registry,
        "repo_digest": f"{engine.registry}/{REPOSITORY}@{digest}",
        "context": "context",
        "dockerfile": "Dockerfile",
        "platform": "linux/amd64",
    }
    state = project.stored_state()
    assert PASSWORD not in state
    assert SECRET not in state

    os.utime(project.context / "data.txt", (1, 1))
    (project.context / "notes.md").write_text("ignored by .dockerignore\n")
    project.declare(username="someone", password="else")
    project.run("refresh", "--yes", "--skip-preview")
    assert project.steps()["tiny"]["op"] == "same"

    (project.context / "data.txt").write_text("two\n")
    project.declare()
    assert project.steps()["tiny"]["op"] == "update"
    project.up()
    edited = engine.digest(REPOSITORY, "v1")
    assert edited != digest
    assert project.outputs()["repo_digest"] == f"{engine.registry}/{REPOSITORY}@{edited}"
    project.declare(greeting="good bye")
    assert project.steps()["tiny"]["op"] == "update"

    project.run("destroy", "--yes", "--skip-preview")
    assert engine.digest(REPOSITORY, "v1") == edited, "the image stays in the registry"


@pytest.fixture
def stand_in(tmp_path: Path, engine: DockerEngine) -> Iterator[ImageProject]:
    """A project with the stand-in, for behaviour that the official plugin does not promise."""
    project = ImageProject(tmp_path, STAND_IN, engine)
    try:
        yield project
    finally:
        project.close()


def test_only_a_build_needs_the_engine(stand_in: ImageProject, engine: DockerEngine) -> None:
    host = f"unix://{stand_in.folder}/nowhere.sock"
    stand_in.environment["DOCKER_HOST"] = host
    stand_in.run("preview")
    assert f"The Docker Engine at {host} does not respond" in stand_in.up(fails=True)
    # No pending operation is left that the next run would have to repair.
    stand_in.environment["DOCKER_HOST"] = engine.host
    assert stand_in.steps()["tiny"]["op"] == "create"


def _credential_folders() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("pulumi-docker-*")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-C", "killed"])
def test_interrupted_build_leaves_nothing_behind(stand_in: ImageProject, number: signal.Signals) -> None:
    before = _credential_folders()
    # Nobody writes to this file, so the client waits for it until something ends it.
    os.mkfifo(stand_in.folder / "endless")
    client = stand_in.folder.parent / "bin" / "docker"
    client.write_text(
        "#!/bin/sh\n"
        f'case "$1" in build) echo building; read line <"{stand_in.folder}/endless";; '
        '*) exec /usr/bin/docker "$@";; esac\n'
    )
    client.chmod(0o755)
    running = stand_in.start("up", "--yes", "--skip-preview")
    until(lambda: _credential_folders() - before, "the build has begun")
    running.send_signal(number)
    running.communicate(timeout=PATIENCE)
    until(lambda: not plugin_processes(stand_in, "docker"), "the plugin has ended")
    until(lambda: not _credential_folders() - before, "the credentials are gone")
    until(lambda: not processes(lambda command, _: str(client).encode() in command), "the client has ended")
