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


def kill_first_update(team: Team, name: str, expires: str = "") -> None:
    """Leave resources, but no update in the history. With ``expires``, the namespace was created."""
    state = team.project.folder / "state.json"
    team.run_stack(name, LATER)
    exported = json.loads(team.project.run("pulumi", "stack", "export", "--stack", name).stdout)
    team.promotion("unstack", "--name", name)
    team.project.run("pulumi", "stack", "init", name, "--non-interactive")
    if expires:
        (stack,) = exported["deployment"]["resources"]
        # A component, since no cluster is there to delete it from.
        kind = "kubernetes:core/v1:Namespace"
        annotations = {"addressbook/expires": expires, "addressbook/platform-stack": "shop"}
        namespace = {"name": f"shop-{name}", "annotations": annotations}
        urn = f"{stack['urn'].rpartition('::')[0].rpartition('::')[0]}::{kind}::namespace"
        resource = {"urn": urn, "type": kind, "custom": False, "parent": stack["urn"]}
        exported["deployment"]["resources"].append({**resource, "inputs": {"metadata": namespace}})
    state.write_text(json.dumps(exported))
    team.project.run("pulumi", "stack", "import", "--stack", name, "--file", str(state))
    (team.project.folder / f"Pulumi.{name}.yaml").unlink(missing_ok=True)


def test_a_killed_first_update_expires_too(team: Team):
    kill_first_update(team, "pr-6", EXPIRED)
    kill_first_update(team, "pr-7", LATER)
    done = team.promotion("unstack", "--expired")
    assert "Pulumi.pr-6.yaml is restored from the stack's state: its first update never finished" in done
    assert f"stack `pr-7` stays until {LATER}" in done
    assert team.stacks() == {"shop", "pr-7"}
    team.promotion("unstack", "--name", "pr-7")
    assert team.stacks() == {"shop"}
    assert list(team.project.folder.glob("Pulumi.pr-*.yaml")) == []


def test_a_killed_first_update_is_continued(team: Team):
    kill_first_update(team, "pr-5")
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
