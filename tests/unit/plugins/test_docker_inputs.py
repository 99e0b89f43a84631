"""What the docker stand-in makes of its inputs, without an engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.plugins.docker.context import IgnoreRules, context_digest, context_files, ignore_patterns
from lab.plugins.docker.image import Image, secret_texts
from lab.plugins.docker.reference import credentials_key, repository, why_not_qualified
from lab.plugins.serving import Secret


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A small build context."""
    for name in ("Dockerfile", "a.txt", "docs/README.md", "docs/guide.md", "src/deep/x.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("", {"Dockerfile", "a.txt", "docs/README.md", "docs/guide.md", "src/deep/x.py"}),
        ("# comment\n\n  *.txt \n/docs/", {"Dockerfile", "src/deep/x.py"}),
        ("**/*.md\n", {"Dockerfile", "a.txt", "src/deep/x.py"}),
        ("docs\n!docs/README.md\n", {"Dockerfile", "a.txt", "docs/README.md", "src/deep/x.py"}),
        ("*\n!src\nsrc/*/x.??\n", set[str]()),
        ("./src/../src/deep", {"Dockerfile", "a.txt", "docs/README.md", "docs/guide.md"}),
        ("[ab].txt", {"Dockerfile", "docs/README.md", "docs/guide.md", "src/deep/x.py"}),
    ],
)
def test_dockerignore(context: Path, patterns: str, left: set[str]) -> None:
    (context / "Dockerfile.dockerignore").write_text(patterns)
    rules = IgnoreRules(ignore_patterns(context, context / "Dockerfile"))
    (context / "Dockerfile.dockerignore").unlink()
    assert set(context_files(context, rules)) == left


def test_the_digest_is_of_names_modes_and_contents(context: Path) -> None:
    def digest() -> str:
        return context_digest(context, context / "Dockerfile")

    seen = {digest()}
    os.utime(context / "a.txt", (1, 1))
    (context / "empty").mkdir()
    assert digest() in seen

    def is_new() -> None:
        assert digest() not in seen
        seen.add(digest())

    (context / "a.txt").write_text("other")
    is_new()
    (context / "a.txt").chmod(0o700)
    is_new()
    (context / "a.txt").rename(context / "b.txt")
    is_new()
    (context / "link").symlink_to("nowhere")
    is_new()
    (context / "link").unlink()
    (context / "link").symlink_to("elsewhere")
    is_new()


def test_a_dockerfile_outside_the_context_counts(context: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "Dockerfile"
    outside.write_text("FROM scratch")
    before = context_digest(context, outside)
    outside.write_text("FROM scratch\n")
    assert context_digest(context, outside) != before


@pytest.mark.parametrize(
    "name", ["127.0.0.1:5000/a/b:v1", "localhost/a", "docker.io/user/image", "registry.example.com/x_y/z--1:latest"]
)
def test_qualified_names(name: str) -> None:
    assert why_not_qualified(name) == ""


@pytest.mark.parametrize("name", ["image", "user/image:v1", "docker.io/image", "registry.example.com/Upper", "a.b/c:"])
def test_unqualified_names(name: str) -> None:
    assert repr(name) in why_not_qualified(name)


def test_parts_of_a_reference() -> None:
    assert repository("localhost:5000/a/b:v1") == "localhost:5000/a/b"
    assert repository("localhost:5000/a/b") == "localhost:5000/a/b"
    assert repository("a.b/c@sha256:00") == "a.b/c"
    assert credentials_key("https://registry.example.com/v2/", "") == "registry.example.com"
    assert credentials_key("", "10.0.0.1:5000/a:b") == "10.0.0.1:5000"
    assert credentials_key("docker.io", "") == "https://index.docker.io/v1/"


def test_build_arguments_are_on_no_command_line() -> None:
    inputs = {
        "imageName": "a.b/c:d",
        "build": {
            "context": "app",
            "dockerfile": "app/Dockerfile",
            "platform": "linux/amd64",
            "args": {"TOKEN": Secret("hush-hush"), "PATH": "/x"},
            "target": "final",
            "cacheFrom": {"images": ["a.b/c:cache"]},
            "addHosts": ["db:10.0.0.1"],
        },
        "registry": {"server": "a.b", "username": "u", "password": Secret("pass-word")},
    }
    image = Image.of(inputs)
    command, environment = image.build_command("host")
    assert "hush-hush" not in " ".join(command)
    assert "pass-word" not in f"{command}{environment}{image!r}"
    assert environment["TOKEN"] == "hush-hush"
    assert "PATH" not in environment
    assert "PATH=/x" in command
    for option, value in (("--target", "final"), ("--cache-from", "a.b/c:cache"), ("--network", "host")):
        assert command[command.index(option) + 1] == value
    assert command[-1] == "app"
    assert sorted(secret_texts(inputs)) == ["hush-hush", "pass-word"]
