"""What an image is built on: spelt out, pinned by digest where its registry answers, and part of the image's tag."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contract.project import PROJECT_ROOT
from pipeline import docker, image
from pipeline.base_image import BaseImage, default_of, parsed, pinned, renewal
from pipeline.cli import main
from pipeline.errors import StepError, UsageError

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
PYTHON = "docker.io/library/python:3.11"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("python:3.11", PYTHON),
        ("python", "docker.io/library/python:latest"),
        ("library/python:3.11", PYTHON),
        ("docker.io/python:3.11", PYTHON),
        ("docker.io/library/python:3.11", PYTHON),
        ("bitnami/python:3.11", "docker.io/bitnami/python:3.11"),
        ("localhost:5001/base", "localhost:5001/base:latest"),
        ("registry.example.com/team/base:1-bookworm", "registry.example.com/team/base:1-bookworm"),
        (f"python@{ONE}", f"docker.io/library/python@{ONE}"),
        (f"python:3.11@{ONE}", f"{PYTHON}@{ONE}"),
        (f"localhost:5001/base@{ONE}", f"localhost:5001/base@{ONE}"),
    ],
)
def test_references_are_spelled_out(text: str, reference: str):
    assert parsed(text).reference == reference
    assert parsed(reference).reference == reference


@pytest.mark.parametrize("text", ["", "a b", "python@sha256:12", "python:", "--push", "Python:3", "python:3.11@"])
def test_invalid_references_are_refused(text: str):
    with pytest.raises(UsageError, match="--base-image"):
        parsed(text)


def test_tags_are_resolved_and_digests_kept(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str]] = []

    def pulled(reference: str, platform: str = "") -> str:
        asked.append((reference, platform))
        return ONE

    monkeypatch.setattr(docker, "pulled_digest", pulled)
    assert pinned("python:3.11", "linux/amd64") == BaseImage(PYTHON, ONE)
    assert pinned(f"python:3.11@{OTHER}", "linux/amd64") == BaseImage(PYTHON, OTHER)
    assert asked == [(PYTHON, "linux/amd64")]


def test_tag_is_kept_with_a_warning_without_registry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refused(reference: str, platform: str = "") -> str:
        raise StepError("no such host")

    monkeypatch.setattr(docker, "pulled_digest", refused)
    assert pinned("python:3.11").reference == PYTHON
    assert f"warning: {PYTHON} is not pinned and is used by its tag: no such host" in capsys.readouterr().err
    assert "base.digest" not in " ".join(pinned("python:3.11").labels)


def test_digest_is_read_from_the_pull(monkeypatch: pytest.MonkeyPatch):
    output = (
        f"3.11: Pulling from library/python\nDigest: {ONE}\nStatus: Image is up to date for python:3.11\n{PYTHON}\n"
    )

    def pull(command: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        assert list(command[1:]) == ["pull", "--platform", "linux/arm64", PYTHON]
        return subprocess.CompletedProcess(command, 0, output, "")

    monkeypatch.setattr(docker, "client", lambda: "docker")
    monkeypatch.setattr(docker.subprocess, "run", pull)
    assert docker.pulled_digest(PYTHON, "linux/arm64") == ONE
    output = "no digest in here"
    with pytest.raises(StepError, match="reported no digest"):
        docker.pulled_digest(PYTHON, "linux/arm64")


def test_addressbook_base_image_can_be_chosen():
    assert default_of(PROJECT_ROOT / "app" / "Dockerfile").startswith("python:")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Docker commands that a build gives; none of them is run."""
    given: list[list[str]] = []
    monkeypatch.setattr(docker, "check", lambda: None)
    monkeypatch.setattr(docker, "build_network", list[str])
    monkeypatch.setattr(docker, "pulled_digest", lambda reference, platform="": ONE)
    monkeypatch.setattr(docker, "run", lambda arguments, what: given.append(list(arguments)))
    monkeypatch.setattr(image, "_test", lambda built, test_image: None)
    return given


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(
        'ARG BASE_IMAGE="python:3.11"\nFROM ${BASE_IMAGE} AS test\nFROM ${BASE_IMAGE}\n'
    )
    return tmp_path


def test_builds_use_the_digest_and_label_the_image(context: Path, commands: list[list[str]]):
    built = image.build_and_test(context, "localhost:1/x", "linux/amd64")
    assert built.base == f"{PYTHON}@{ONE}"
    assert built.database == f"docker.io/library/{image.DATABASE_IMAGE}@{ONE}"
    assert len(commands) == 2
    assert all(f"BASE_IMAGE={PYTHON}@{ONE}" in command for command in commands)
    assert f"org.opencontainers.image.base.name={PYTHON}" in commands[1]
    assert f"org.opencontainers.image.base.digest={ONE}" in commands[1]


def test_content_tag_depends_on_the_base(context: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch):
    def tag(base: str = "") -> str:
        return image.build_and_test(context, "localhost:1/x", "linux/amd64", base).reference

    first = tag()
    assert tag() == first == tag(f"python:3.11@{ONE}")
    assert tag(f"python:3.11@{OTHER}") != first
    monkeypatch.setattr(docker, "pulled_digest", lambda reference, platform="": OTHER)
    assert tag() == tag(f"python:3.11@{OTHER}")


def test_dockerfile_without_base_argument_is_built(context: Path, commands: list[list[str]]):
    (context / "Dockerfile").write_text("FROM scratch AS test\n")
    assert image.build_and_test(context, "localhost:1/x", "linux/amd64").base == ""
    assert not any("BASE_IMAGE" in part for command in commands for part in command)
    with pytest.raises(UsageError, match="start the file with `ARG BASE_IMAGE"):
        image.build_and_test(context, "localhost:1/x", "linux/amd64", "python:3.12")


def test_invalid_base_exits_with_2(capsys: pytest.CaptureFixture[str]):
    assert main(["image", "--repository", "localhost:1/x", "--base-image", "a b"]) == 2
    assert capsys.readouterr().err.startswith("error: --base-image a b: write NAME:TAG or NAME@sha256:DIGEST")


@pytest.mark.parametrize(
    ("pushed", "due"),
    [(f"{ONE}\n", False), (f"{OTHER}\n", True), ("\n", True), (None, False)],
    ids=["the same base", "another base", "an image without the label", "nothing was pushed yet"],
)
def test_a_new_base_makes_a_new_image_due(
    context: Path, monkeypatch: pytest.MonkeyPatch, pushed: str | None, due: bool
):
    def run(command: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        if "inspect" in command:
            return subprocess.CompletedProcess(command, 0, pushed, "")
        assert list(command[1:]) == ["pull", "--quiet", "localhost:1/x:cache"]
        error = "Error response from daemon: manifest for localhost:1/x:cache not found: manifest unknown"
        return subprocess.CompletedProcess(command, 0 if pushed else 1, "", "" if pushed else error)

    monkeypatch.setattr(docker, "client", lambda: "docker")
    monkeypatch.setattr(docker, "pulled_digest", lambda reference, platform="": ONE)
    monkeypatch.setattr(docker.subprocess, "run", run)
    found = renewal(context / "Dockerfile", "localhost:1/x", "linux/amd64")
    assert (found.base, found.is_due) == (f"{PYTHON}@{ONE}", due)


def test_an_unreachable_registry_is_no_new_base(context: Path, monkeypatch: pytest.MonkeyPatch):
    def run(command: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "dial tcp: lookup localhost: no such host")

    monkeypatch.setattr(docker, "client", lambda: "docker")
    monkeypatch.setattr(docker, "pulled_digest", lambda reference, platform="": ONE)
    monkeypatch.setattr(docker.subprocess, "run", run)
    with pytest.raises(StepError, match="no such host"):
        renewal(context / "Dockerfile", "localhost:1/x", "linux/amd64")
    with pytest.raises(UsageError, match="no line `ARG BASE_IMAGE=NAME:TAG`"):
        renewal(context, "localhost:1/x", "linux/amd64")
