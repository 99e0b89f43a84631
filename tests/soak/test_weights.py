"""A release by weight, under the real engine and program: the order of its steps, and kills between them.

The cluster only records (recorded_cluster.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project import ROOT, Project

NAME = "weights"
REGISTRY = "127.77.0.1:5000"  # nothing listens there
OLD, NEW = (f"{REGISTRY}/addressbook@sha256:{digit * 64}" for digit in "ab")
CONFIG = {
    "cloud": "local",
    "kubeContext": "recorded",
    "registry": REGISTRY,
    "stableImage": OLD,
    "stableReplicas": 3,
    "migrateCommand": [],
    "gateway": "shared-traefik",
    "canaryWeight": "1",
    "sticky": True,
}
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "recorded", "cluster": {"server": "https://127.77.0.1:1"}}],
    "contexts": [{"name": "recorded", "context": {"cluster": "recorded", "user": "recorded"}}],
    "users": [{"name": "recorded", "user": {}}],
}
PLUGIN = f"""#!/bin/sh
cd {ROOT} && exec {sys.executable} -m tests.soak.recorded_cluster "$@"
"""


class Recorded:
    """The stack, and what the engine did to the cluster since the last look."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.record, self.trap = folder / "record", folder / "kill"

    def move(self, *arguments: str, killed_before: str = "") -> list[str]:
        """Run a promotion command; return the steps to the tracks and the route. Kill the engine before a step."""
        self.record.write_text("")
        if killed_before:
            self.trap.write_text(killed_before)
        command = (sys.executable, "-m", "promotion", *arguments, "--stack", NAME, "--yes")
        done = self.project.run(*command, check=not killed_before)
        assert not self.trap.exists(), "the engine was killed"
        assert bool(done.returncode) == bool(killed_before)
        return [text for each in self.record.read_text().splitlines() if (text := described(json.loads(each)))]


def described(step: dict[str, Any]) -> str:
    """Return a step as text; "" for other objects."""
    what, spec = f"{step['step']} {step['name'].removeprefix('addressbook-')}", step["spec"]
    if step["kind"] == "Deployment":
        version = "old" if OLD in json.dumps(spec) else "new"
        return what if step["step"] == "delete" else f"{what} {spec['replicas']} {version}"
    if step["kind"] == "TraefikService":
        weights = [str(each["weight"]) for each in spec["weighted"]["services"]]
        return what if step["step"] == "delete" else f"{what} {'/'.join(weights)}"
    if step["kind"] == "HTTPRoute":
        return f"{what} to {' '.join(ref['name'] for ref in spec['rules'][-1]['backendRefs'])}"
    return ""


@pytest.fixture
def recorded(new_project: Callable[..., Project], toolchain: dict[str, str], tmp_path: Path) -> Recorded:
    plugins, kubeconfig = tmp_path / "plugins", tmp_path / "kubeconfig"
    plugins.mkdir()
    plugin = plugins / "pulumi-resource-kubernetes"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG))
    environment = {
        **toolchain,
        "PATH": f"{plugins}:{toolchain['PATH']}",
        "KUBECONFIG": str(kubeconfig),
        "RECORD": str(tmp_path / "record"),
        "KILL": str(tmp_path / "kill"),
    }
    return Recorded(new_project(NAME, environment, **CONFIG), tmp_path)


def test_a_life_by_weight(recorded: Recorded):
    """Weight 1, weight 50, promotion, roll-back and promotion again, with the engine killed twice in between."""
    assert recorded.move("up") == ["create stable 3 old", "create route to addressbook-stable"]

    trial = ("canary", "--image", NEW, "--weight", "1")
    assert recorded.move(*trial, killed_before='"TraefikService"') == ["create canary 1 new"]
    heavier = recorded.move("canary", "--weight", "50")
    assert heavier == ["update canary 2 new", "create sticky 500/500", "update route to addressbook-sticky"]

    promotion = ("promote", "--force")
    users_move = '"update", "kind": "TraefikService"'
    assert recorded.move(*promotion, killed_before=users_move) == ["update canary 3 new"]
    back = recorded.move("rollback")
    assert back[0] == "update route to addressbook-stable"
    assert sorted(back[1:]) == ["delete canary", "delete sticky"], "the engine deletes last"

    recorded.move(*trial)
    steps = recorded.move(*promotion)
    assert steps[:2] == ["update canary 3 new", "update sticky 0/1000"], "the users move before stable changes"
    assert steps[2:4] == ["update stable 3 new", "update route to addressbook-stable"]
    assert sorted(steps[4:]) == ["delete canary", "delete sticky"]
    keys = yaml.safe_load(recorded.project.stack_file.read_text())["config"]
    assert (keys["addressbook:stableImage"], keys["addressbook:canaryWeight"]) == (NEW, "1")
