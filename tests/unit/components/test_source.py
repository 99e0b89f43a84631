"""The content tag of an image built from source."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.source import content_tag, origin, revision

BUILD = ("Dockerfile", "linux/amd64", {"BASE_IMAGE": "python:3.11"})


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "src").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "src" / "main.py").write_text("print('hello')\n")
    (folder / ".dockerignore").write_text("# caches\n**/__pycache__\n*.log\n!keep.log\n")
    return folder


def test_times_and_ignored_files_do_not_change_the_tag(context: Path):
    before = content_tag(context, *BUILD)
    assert before.startswith("src-")
    os.utime(context / "src" / "main.py", (0, 0))
    (context / "src" / "__pycache__").mkdir()
    (context / "src" / "__pycache__" / "main.pyc").write_bytes(b"\0")
    (context / "build.log").write_text("noise")
    assert content_tag(context, *BUILD) == before


@pytest.mark.parametrize("change", ["content", "name", "mode", "kept", "dockerfile", "platform", "argument", "link"])
def test_everything_the_build_sees_changes_the_tag(context: Path, change: str):
    before = content_tag(context, *BUILD)
    dockerfile, platform, arguments = BUILD
    source = context / "src" / "main.py"
    match change:
        case "content":
            source.write_text("print('bye')\n")
        case "name":
            source.rename(context / "src" / "other.py")
        case "mode":
            source.chmod(0o755)
        case "kept":
            (context / "keep.log").write_text("kept")
        case "dockerfile":
            (context / "Dockerfile").write_text("FROM busybox\n")
        case "platform":
            platform = "linux/arm64"
        case "argument":
            arguments = {"BASE_IMAGE": "python:3.12"}
        case _:
            (context / "link").symlink_to("src/main.py")
    assert content_tag(context, dockerfile, platform, arguments) != before


def git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *args], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_revision_is_the_contexts_last_commit(tmp_path: Path):
    context = tmp_path / "app"
    context.mkdir()
    assert revision(context) == ""
    git(tmp_path, "init", "-q")
    (context / "a").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    first = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "elsewhere").write_text("2")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "two")
    assert revision(context) == first
    (context / "a").write_text("edited")
    assert revision(context) == f"{first}-dirty"


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://git.example/team/shop.git", "https://git.example/team/shop"),
        ("https://robot:token@git.example:8443/shop", "https://git.example:8443/shop"),
        ("git@git.example:team/shop.git", "https://git.example/team/shop"),
        ("ssh://git@git.example:2222/team/shop.git/", "https://git.example/team/shop"),
        ("../shop", ""),
        ("/srv/shop.git", ""),
    ],
)
def test_the_origin_is_a_web_address_without_a_login(tmp_path: Path, remote: str, page: str):
    assert origin(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    assert origin(tmp_path) == ""
    git(tmp_path, "remote", "add", "origin", remote)
    assert origin(tmp_path) == page
