"""The docker stand-in without an engine: inputs, the context's digest, references and the build command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.docker.__main__ import IMAGE, Docker
from lab.plugins.docker.client import find_client
from lab.plugins.docker.context import context_digest
from lab.plugins.docker.image import Image, secret_texts
from lab.plugins.docker.reference import credentials_key, is_qualified, repository
from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN, Secret
from lab.plugins.provider import ProviderError, Resource

RESOURCE = Resource("urn:pulumi:s::p::docker:index/image:Image::it", IMAGE, "it")
PREVIEW = Resource(RESOURCE.urn, IMAGE, "it", preview=True)
NAME = "registry.example.com/a:v1"
BUILD = {"context": "app", "platform": "linux/amd64"}


@pytest.fixture(autouse=True)
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build context `app` in the program's folder, which is the working directory."""
    context = tmp_path / "app"
    for name in ("Dockerfile", "a.txt", "docs/guide.md"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return context


@pytest.mark.parametrize(
    "inputs",
    [
        {"imageName": NAME, "build": BUILD},
        {"imageName": NAME, "build": BUILD, "skipPush": False, "buildOnPreview": False},
        {"imageName": UNKNOWN, "build": BUILD},
        {"imageName": NAME, "build": UNKNOWN},
        {"imageName": NAME, "build": {**BUILD, "context": UNKNOWN}},
        {"imageName": NAME, "build": {**BUILD, "dockerfile": UNKNOWN}},
        {"imageName": NAME, "build": {**BUILD, "args": UNKNOWN, "platform": UNKNOWN}},
        {"imageName": NAME, "build": {**BUILD, "args": {"A": UNKNOWN}}},
        {"imageName": NAME, "build": BUILD, "registry": UNKNOWN},
        {"imageName": NAME, "build": BUILD, "registry": {"server": UNKNOWN, "password": UNKNOWN}},
    ],
    ids=str,
)
def test_preview_accepts_unknown_inputs(inputs: dict[str, Any]) -> None:
    provider = Docker(Engine())
    checked = provider.check(RESOURCE, {}, inputs)
    assert not checked.failures
    created = provider.create(PREVIEW, checked.inputs)
    assert created.id == ""
    assert created.outputs["repoDigest"] is UNKNOWN


@pytest.mark.parametrize(
    ("inputs", "property_path"),
    [
        ({"build": BUILD}, "imageName"),
        ({"imageName": 7, "build": BUILD}, "imageName"),
        ({"imageName": "a:v1", "build": BUILD}, "imageName"),
        ({"imageName": NAME, "build": {**BUILD, "context": "nowhere"}}, "build.context"),
        ({"imageName": NAME, "build": {**BUILD, "dockerfile": "Dockerfile"}}, "build.dockerfile"),
        ({"imageName": NAME, "build": {**BUILD, "cacheFrom": {"images": [NAME]}}}, "build.cacheFrom"),
        ({"imageName": NAME, "build": {"context": "app"}}, "build.platform"),
        ({"imageName": NAME, "build": BUILD, "registry": {"url": "x"}}, "registry.url"),
        ({"imageName": NAME, "build": BUILD, "skipPush": True}, "skipPush"),
        ({"imageName": NAME, "build": BUILD, "buildOnPreview": True}, "buildOnPreview"),
    ],
    ids=str,
)
def test_invalid_input_is_named(inputs: dict[str, Any], property_path: str) -> None:
    assert [failure.property for failure in Docker(Engine()).check(RESOURCE, {}, inputs).failures] == [property_path]


def test_other_resources_are_refused() -> None:
    other = Resource(RESOURCE.urn, "docker:index/container:Container", "it")
    with pytest.raises(ProviderError, match="pulumi plugin install resource docker 5"):
        Docker(Engine()).check(other, {}, {})


def test_digest_covers_names_modes_and_contents(context: Path) -> None:
    def digest() -> str:
        return context_digest(context, context / "Dockerfile")

    seen = {digest()}
    os.utime(context / "a.txt", (1, 1))
    (context / "empty").mkdir()
    assert digest() in seen
    for edit in (
        lambda: (context / "a.txt").write_text("other"),
        lambda: (context / "a.txt").chmod(0o700),
        lambda: (context / "a.txt").rename(context / "b.txt"),
        lambda: (context / "link").symlink_to("nowhere"),
        lambda: (context / "Dockerfile").write_text("FROM scratch"),
        lambda: (context / ".dockerignore").write_text("docs"),
    ):
        edit()
        assert digest() not in seen
        seen.add(digest())
    (context / "docs" / "guide.md").write_text("ignored by .dockerignore")
    assert digest() in seen


@pytest.mark.parametrize(
    ("name", "qualified"),
    [
        ("127.0.0.1:5000/a/b:v1", True),
        ("localhost/a", True),
        ("docker.io/user/image", True),
        ("registry.example.com/x_y/z--1:latest", True),
        ("image", False),
        ("user/image:v1", False),
        ("docker.io/image", False),
        ("registry.example.com/Upper", False),
        ("a.b/c:", False),
    ],
)
def test_qualified_names(name: str, qualified: bool) -> None:
    assert is_qualified(name) == qualified


def test_parts_of_a_reference() -> None:
    assert repository("localhost:5000/a/b:v1") == "localhost:5000/a/b"
    assert repository("localhost:5000/a/b") == "localhost:5000/a/b"
    assert repository("a.b/c@sha256:00") == "a.b/c"
    assert credentials_key("https://registry.example.com/v2/", "") == "registry.example.com"
    assert credentials_key("", "10.0.0.1:5000/a:b") == "10.0.0.1:5000"
    assert credentials_key("docker.io", "") == "https://index.docker.io/v1/"


def test_build_arguments_stay_off_the_command_line() -> None:
    inputs = {
        "imageName": "a.b/c:d",
        "build": {**BUILD, "dockerfile": "app/Dockerfile", "args": {"TOKEN": Secret("hush-hush"), "PATH": "/x"}},
        "registry": {"server": "a.b", "username": "u", "password": Secret("pass-word")},
    }
    image = Image.of(inputs)
    command, environment = image.build_command(["--network", "host"])
    assert "hush-hush" not in " ".join(command)
    assert "pass-word" not in f"{command}{environment}{image!r}"
    assert environment["TOKEN"] == "hush-hush"
    assert "PATH" not in environment
    assert "PATH=/x" in command
    assert command[command.index("--network") + 1] == "host"
    assert command[-1] == "app"
    assert sorted(secret_texts(inputs)) == ["hush-hush", "pass-word"]


BUILDX = 'test "$1" = buildx && echo v0.17.1'
OLD = 'test "$1" = version && echo 20.10.24+dfsg1'
NEW = 'test "$1" = version && echo 27.5.1'


@pytest.mark.parametrize(
    ("clients", "chosen"), [([BUILDX, OLD], 0), ([OLD, BUILDX], 0), ([NEW, BUILDX], 1), ([NEW, OLD], 1)]
)
def test_first_client_with_buildkit_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clients: list[str], chosen: int
) -> None:
    paths = [tmp_path / str(number) / "docker" for number, _ in enumerate(clients)]
    for path, script in zip(paths, clients, strict=True):
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", ":".join(str(path.parent) for path in paths))
    assert find_client() == str(paths[chosen])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "No Docker client is installed. Install"),
        ("/usr/bin/false", "/usr/bin/false cannot build with BuildKit."),
    ],
)
def test_missing_client_is_explained(monkeypatch: pytest.MonkeyPatch, found: str | None, message: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: found)
    with pytest.raises(ProviderError, match=message):
        find_client()
