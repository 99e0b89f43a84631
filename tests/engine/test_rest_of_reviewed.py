"""A reviewed update that ended halfway is started again, and does the rest of its steps."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.project import Project

NAME = "halfway"
#: Two resources, of which the second is never registered while the file `fail` exists. The preview does not see it.
PROGRAM = """
from pathlib import Path
import pulumi
import pulumi_random as random

def check(identity):
    if Path("fail").exists() and not pulumi.runtime.is_dry_run():
        raise RuntimeError("the connection is gone")
    return identity

first = random.RandomString("first", length=4)
random.RandomString("second", length=4, keepers={"first": first.id.apply(check)})
"""


@pytest.fixture
def project(new_project: Callable[..., Project], toolchain: dict[str, str]) -> Project:
    project = new_project(NAME, toolchain, cloud="local")
    (project.folder / "__main__.py").write_text(PROGRAM)
    (project.folder / ".gitignore").write_text(".venv\n.promotion\n__pycache__\nfail\npreview.json\n")
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
        project.run("git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments)
    return project


def test_the_rest_of_a_reviewed_update_is_done(project: Project):
    promotion = (sys.executable, "-m", "promotion")
    project.run(*promotion, "preview", "--stack", NAME, "--save", "preview.json")
    (project.folder / "fail").touch()
    up = (*promotion, "up", "--stack", NAME, "--expect", "preview.json")
    failed = project.run(*up, check=False)
    assert failed.returncode == 1, failed.stderr
    assert "the connection is gone" in failed.stdout + failed.stderr
    (project.folder / "fail").unlink()
    done = project.run(*up)
    assert "doing the rest of its steps" in done.stdout
    names = {resource["urn"].rpartition("::")[2] for resource in project.state()["resources"]}
    assert {"first", "second"} <= names
