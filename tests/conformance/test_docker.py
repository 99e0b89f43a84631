"""Conformance of the provider `docker`: its Image against a real engine and a real registry."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.plugins.docker.client import find_client
from lab.plugins.docker.context import IgnoreRules, context_files, ignore_patterns
from tests.conformance.docker_engine import PASSWORD, USERNAME, DockerEngine
from tests.conformance.pulumi_project import OFFICIAL, PATIENCE, STAND_IN, PulumiProject, plugin_processes, until

VERSION = "5.2.0"
REPOSITORY = "team/tiny"

PROGRAM = """
    import pulumi
    import pulumi_docker as docker

    image = docker.Image(
        "tiny",
        image_name="{registry}/team/tiny:v1",
        build=docker.DockerBuildArgs(
            context="context", platform="linux/amd64", args={{"GREETING": {greeting}}}, target={target!r}
        ),
        registry=docker.RegistryArgs(
            server="{registry}", username={username!r}, password=pulumi.Output.secret({password!r})
        ),
        skip_push={skip_push},
        build_on_preview={build_on_preview},
    )
    for name in ("base_image_name", "image_name", "registry_server", "repo_digest", "context", "dockerfile"):
        pulumi.export(name, getattr(image, name))
    pulumi.export("platform", image.platform)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """A Docker Engine and a registry that end with this module's tests."""
    engine = DockerEngine(tmp_path_factory.mktemp("docker"))
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


class ImageProject(PulumiProject):
    """A project with one image of two files, FROM scratch."""

    def __init__(self, folder: Path, variant: str, engine: DockerEngine) -> None:
        super().__init__(folder, "docker", VERSION, variant)
        self.engine = engine
        self.environment |= {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(folder / "docker")}
        self.context = self.folder / "context"
        self.context.mkdir()
        (self.context / "data.txt").write_text("one\n")
        (self.context / "notes.md").write_text("not in the image\n")
        (self.context / ".dockerignore").write_text("*.md\n")
        (self.context / "Dockerfile").write_text(
            "FROM scratch AS base\nARG GREETING\nLABEL greeting=$GREETING\nCOPY . /\n"
            "FROM base AS other\nLABEL other=1\n"
        )
        self.declare()

    def declare(
        self,
        greeting: str = "'hello'",
        target: str = "base",
        username: str = USERNAME,
        password: str = PASSWORD,
        skip_push: bool = False,
        build_on_preview: bool = False,
    ) -> None:
        """Write the program."""
        self.program(
            PROGRAM.format(
                registry=self.engine.registry,
                greeting=greeting,
                target=target,
                username=username,
                password=password,
                skip_push=skip_push,
                build_on_preview=build_on_preview,
            )
        )


@pytest.fixture(params=[STAND_IN, OFFICIAL])
def project(request: pytest.FixtureRequest, tmp_path: Path, engine: DockerEngine) -> Iterator[ImageProject]:
    """An image project under the stand-in, then under the official plugin where it is installed."""
    project = ImageProject(tmp_path, request.param, engine)
    try:
        yield project
    finally:
        project.close()


def test_the_digest_is_the_registrys(project: ImageProject, engine: DockerEngine) -> None:
    project.up()
    digest = engine.digest(REPOSITORY, "v1")
    assert project.outputs() == {
        "base_image_name": f"{engine.registry}/{REPOSITORY}:v1",
        "image_name": f"{engine.registry}/{REPOSITORY}:v1",
        "registry_server": engine.registry,
        "repo_digest": f"{engine.registry}/{REPOSITORY}@{digest}",
        "context": "context",
        "dockerfile": "Dockerfile",
        "platform": "linux/amd64",
    }


def test_nothing_is_built_twice_for_the_same_context(project: ImageProject) -> None:
    project.up()
    os.utime(project.context / "data.txt", (1, 1))
    (project.context / "notes.md").write_text("ignored by .dockerignore\n")
    assert project.steps()["tiny"]["op"] == "same"
    project.run("refresh", "--yes", "--skip-preview")
    assert project.steps()["tiny"]["op"] == "same"


def test_an_edit_builds_another_image(project: ImageProject) -> None:
    file, dockerfile = project.context / "data.txt", project.context / "Dockerfile"
    edits: dict[str, Callable[[], object]] = {
        "content": lambda: file.write_text("two\n"),
        "mode": lambda: file.chmod(0o755),
        "name": lambda: file.rename(file.with_name("renamed.txt")),
        "Dockerfile": lambda: dockerfile.write_text(dockerfile.read_text().replace("AS base", "AS base\nLABEL more=1")),
        "argument": lambda: project.declare(greeting="'good bye'"),
        "target": lambda: project.declare(target="other"),
    }
    project.up()
    seen = {project.outputs()["repo_digest"]}
    for edit, make in edits.items():
        make()
        assert project.steps()["tiny"]["op"] == "update", edit
        project.up()
        digest = project.outputs()["repo_digest"]
        assert digest not in seen, edit
        assert digest == f"{project.engine.registry}/{REPOSITORY}@{project.engine.digest(REPOSITORY, 'v1')}"
        seen.add(digest)
    assert project.steps()["tiny"]["op"] == "same"


def test_other_credentials_are_no_change(project: ImageProject) -> None:
    project.up()
    project.declare(username="someone", password="else")
    assert project.steps()["tiny"]["op"] == "same"


def test_a_preview_builds_nothing(project: ImageProject) -> None:
    (project.context / "Dockerfile").write_text("FROM scratch AS base\nCOPY missing /\n")
    assert "repo_digest" in project.run("preview", "--diff")
    assert "missing" in project.up(fails=True)


def test_only_a_build_needs_the_engine(tmp_path: Path, engine: DockerEngine) -> None:
    """Of the stand-in only: the official plugin wants an engine for a preview too."""
    project = ImageProject(tmp_path, STAND_IN, engine)
    try:
        project.environment["DOCKER_HOST"] = f"unix://{tmp_path}/nowhere.sock"
        project.run("preview")
        output = project.up(fails=True)
        assert f"the Docker Engine at unix://{tmp_path}/nowhere.sock can't be reached" in output
        # Nothing is left pending: the next run needs no repair.
        project.environment["DOCKER_HOST"] = engine.host
        assert project.steps()["tiny"]["op"] == "create"
    finally:
        project.close()


def test_build_on_preview_finds_a_broken_dockerfile(project: ImageProject) -> None:
    project.declare(build_on_preview=True)
    project.run("preview")
    (project.context / "Dockerfile").write_text("FROM scratch AS base\nCOPY missing /\n")
    assert "missing" in project.run("preview", fails=True)


def test_without_a_push_the_digest_is_the_images_id(project: ImageProject) -> None:
    project.declare(skip_push=True)
    project.up()
    assert project.outputs()["repo_digest"].startswith("sha256:")


def test_a_failed_build_says_why_and_hides_what_is_secret(project: ImageProject) -> None:
    project.declare(greeting="pulumi.Output.secret('hush-hush')")
    (project.context / "Dockerfile").write_text("FROM scratch AS base\nARG GREETING\nCOPY ${GREETING}-missing /\n")
    output = project.up(fails=True)
    assert "-missing" in output
    assert "hush-hush" not in output
    assert PASSWORD not in output


def test_a_refused_login_is_an_error(project: ImageProject) -> None:
    project.declare(password="wrong")
    output = project.up(fails=True)
    assert "unauthorized" in output.lower() or "authentication" in output.lower() or "no basic auth" in output


def test_secrets_stay_out_of_the_state(project: ImageProject) -> None:
    project.declare(greeting="pulumi.Output.secret('hush-hush')")
    project.up()
    state = next(Path(project.environment["PULUMI_BACKEND_URL"].removeprefix("file://")).rglob("test.json"))
    assert PASSWORD not in state.read_text()
    assert "hush-hush" not in state.read_text()


def test_destroy_leaves_the_image_in_the_registry(project: ImageProject, engine: DockerEngine) -> None:
    project.up()
    digest = project.outputs()["repo_digest"].partition("@")[2]
    project.run("destroy", "--yes", "--skip-preview")
    assert engine.digest(REPOSITORY, "v1") == digest


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("image_name='tiny:v1', build=docker.DockerBuildArgs(context='context')", "fully qualified"),
        ("image_name='{registry}/a:v1', build=docker.DockerBuildArgs(context='nowhere')", "nowhere"),
        (
            "image_name='{registry}/a:v1',build=docker.DockerBuildArgs(context='context', dockerfile='Dockerfile')",
            "context/Dockerfile",
        ),
    ],
)
def test_a_wrong_input_stops_the_preview(project: ImageProject, program: str, sentence: str) -> None:
    arguments = program.replace("{registry}", project.engine.registry)
    project.program(f"import pulumi_docker as docker\ndocker.Image('tiny', {arguments})\n")
    output = project.run("preview", fails=True)
    assert sentence in output
    assert "Traceback" not in output


def _credential_folders() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("pulumi-docker-*")}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-C", "killed"])
def test_an_interrupted_build_leaves_nothing_behind(
    tmp_path: Path, engine: DockerEngine, signal_number: signal.Signals
) -> None:
    """Of the stand-in only: what the official plugin leaves behind is its own affair."""
    before = _credential_folders()
    project = ImageProject(tmp_path, STAND_IN, engine)
    try:
        # Nobody ever writes to it: the client waits for this file until it is ended.
        os.mkfifo(project.folder / "endless")
        client = project.folder.parent / "bin" / "docker"
        client.write_text(
            "#!/bin/sh\n"
            f'case "$1" in build) echo building; read line <"{project.folder}/endless";; '
            '*) exec /usr/bin/docker "$@";; esac\n'
        )
        client.chmod(0o755)
        running = project.start("up", "--yes", "--skip-preview")
        until(lambda: _credential_folders() - before, "the build has begun")
        running.send_signal(signal_number)
        running.communicate(timeout=PATIENCE)
        until(lambda: not plugin_processes(project, "docker"), "the plugin has ended")
        until(lambda: not _credential_folders() - before, "the credentials are gone")
        until(lambda: not _processes_of(client), "the Docker client has ended")
    finally:
        project.close()


def _processes_of(program: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(program) in (process / "cmdline").read_bytes().decode(errors="replace"):
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "patterns",
    [
        "",
        "# comment\n\n  *.txt \n/docs/",
        "**/*.md",
        "docs\n!docs/README.md",
        "*\n!src\nsrc/*/x.??",
        "*\n!docs/*.md\n!src/deep",
        "**/deep\n!src/deep/x.py",
        "./src/../src/deep\n[ab].txt",
        "d?cs\n**/x.*\nsrc/**/other",
        "!docs\ndocs/guide.md\nsrc/*\n!src/deep/other",
    ],
)
def test_the_digest_is_of_what_docker_sends(tmp_path: Path, engine: DockerEngine, patterns: str) -> None:
    """The stand-in's reading of .dockerignore against that of the real BuildKit.

    Without exceptions that begin with `**`: clients before 23 look for those at the top only, later ones (and the
    stand-in) everywhere, as documented.
    """
    context, sent = tmp_path / "context", tmp_path / "sent"
    for name in ("a.txt", "b.txt", "docs/README.md", "docs/guide.md", "src/deep/x.py", "src/deep/other", "src/y.md"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).touch()
    (context / ".dockerignore").write_text(patterns)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    built = subprocess.run(
        [find_client(), "build", "--quiet", "--file", str(dockerfile), "--output", str(sent), str(context)],
        env={**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": engine.host},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    rules = IgnoreRules(ignore_patterns(context, dockerfile))
    assert list(context_files(context, rules)) == sorted(
        str(path.relative_to(sent)) for path in sent.rglob("*") if not path.is_dir()
    )
