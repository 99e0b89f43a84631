"""Release stacks live and expire in the backend, whichever checkout asks. The program is replaced by an empty one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

EXPIRED, LATER = "2020-01-01T00:00Z", "2999-01-01T00:00Z"
FILE = """config:
  addressbook:cloud: local
  addressbook:platformStack: shop
  addressbook:namespace: {namespace}
  addressbook:expires: {expires}
"""


class Team:
    """Checkouts of one project that share a backend with the platform `shop`."""

    def __init__(self, project: Any) -> None:
        self.project = project

    def promotion(self, *arguments: str, code: int = 0) -> str:
        done: subprocess.CompletedProcess[str] = self.project.run(
            sys.executable, "-m", "promotion", *arguments, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def run_stack(self, name: str, expires: str) -> None:
        """Let another checkout create a stack, whose file this one does not have."""
        file = self.project.folder / f"Pulumi.{name}.yaml"
        file.write_text(FILE.format(namespace=f"shop-{name}", expires=expires))
        self.project.run("pulumi", "stack", "init", name, "--non-interactive")
        self.project.run("pulumi", "up", "--yes", "--skip-preview", "--stack", name)
        file.unlink()

    def stacks(self) -> set[str]:
        return {each["name"] for each in json.loads(self.project.run("pulumi", "stack", "ls", "--json").stdout)}


@pytest.fixture(scope="module")
def team(new_project: Callable[..., Any], toolchain: dict[str, str]) -> Team:
    project = new_project("shop", toolchain, cloud="local", namespace="shop")
    (project.folder / "__main__.py").write_text("import pulumi\n")
    return Team(project)


def test_expired_stacks_go_and_others_stay(team: Team):
    team.run_stack("pr-1", EXPIRED)
    team.run_stack("pr-2", LATER)
    done = team.promotion("unstack", "--expired")
    assert "Pulumi.pr-1.yaml is restored from the stack's last update" in done
    assert f"stack `pr-2` stays until {LATER}" in done
    assert team.stacks() == {"shop", "pr-2"}
    team.promotion("unstack", "--name", "pr-2")
    assert list(team.project.folder.glob("Pulumi.pr-*.yaml")) == []
    assert team.stacks() == {"shop"}


def test_a_stack_that_was_renewed_elsewhere_stays(team: Team):
    team.run_stack("pr-4", LATER)
    team.project.run("pulumi", "stack", "select", "shop")
    file = team.project.folder / "Pulumi.pr-4.yaml"
    file.write_text(FILE.format(namespace="shop-pr-4", expires=EXPIRED))
    assert f"stack `pr-4` stays until {LATER}" in team.promotion("unstack", "--expired")
    assert team.stacks() == {"shop", "pr-4"}
    listed = json.loads(team.project.run("pulumi", "stack", "ls", "--json").stdout)
    assert [each["name"] for each in listed if each["current"]] == ["shop"]
    file.unlink()
    team.promotion("unstack", "--name", "pr-4")


def test_a_killed_first_update_is_continued(team: Team):
    """It leaves resources, but no update in the history."""
    state = team.project.folder / "state.json"
    team.run_stack("pr-5", LATER)
    state.write_text(team.project.run("pulumi", "stack", "export", "--stack", "pr-5").stdout)
    team.promotion("unstack", "--name", "pr-5")
    team.project.run("pulumi", "stack", "init", "pr-5", "--non-interactive")
    team.project.run("pulumi", "stack", "import", "--stack", "pr-5", "--file", str(state))
    (team.project.folder / "Pulumi.pr-5.yaml").unlink(missing_ok=True)
    assert "stack `pr-5` has resources but no finished update" in team.promotion("unstack", "--expired")
    done = team.promotion("stack", "--name", "pr-5", "--platform", "shop", "--update", "--expires-in", "3d")
    assert "It may be destroyed from" in done
    team.promotion("unstack", "--name", "pr-5")
    assert team.stacks() == {"shop"}


def test_an_empty_stack_of_an_interrupted_creation_is_removed(team: Team):
    team.project.run("pulumi", "stack", "init", "pr-3", "--non-interactive")
    (team.project.folder / "Pulumi.pr-3.yaml").unlink(missing_ok=True)
    assert "nothing to destroy" in team.promotion("unstack", "--name", "pr-3")
    assert team.stacks() == {"shop"}
