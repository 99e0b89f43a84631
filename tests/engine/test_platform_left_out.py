"""The real engine leaves the platform, or a failing stable, out of the way back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

NAME = "left-out"
OLD, NEW = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "ab")
#: A platform and a release in small: the stand-in of the random provider changes both without a cluster.
PROGRAM = """
import pulumi
import pulumi_random as random
from contract.update import wanted_version

config = pulumi.Config()
if wanted_version(config.get("version") or "1.35", "1.34") == "1.99":
    raise pulumi.RunError("version 1.99 is not offered")
platform = pulumi.ComponentResource("delivery:aws:Cluster", "cluster")
release = pulumi.ComponentResource("delivery:release:Release", "addressbook")
nodes = random.RandomString(
    "nodes",
    length=config.require_int("nodeCount"),
    opts=pulumi.ResourceOptions(parent=platform, version=config.get("plugin")),
)
if config.get_int("standbys"):
    random.RandomString("standby", length=4, opts=pulumi.ResourceOptions(parent=platform))
tracks = []
if config.get_int("canaryReplicas"):
    tracks += [random.RandomString("canary", length=4, opts=pulumi.ResourceOptions(parent=release))]
stable = random.RandomString(
    "stable",
    length=config.require_int("stableReplicas"),
    keepers={"nodes": nodes.result},
    opts=pulumi.ResourceOptions(parent=release, depends_on=tracks),
)
image, canary = config.require("stableImage"), config.get("canaryImage")
images = {"stable": image, **({"canary": canary} if canary else {})}
pulumi.export("tracks", {track: {"image": each, "replicas": 1, "share": 50} for track, each in images.items()})
pulumi.export("traffic", "split")
pulumi.export("nodes", nodes.result)
pulumi.export("stable", stable.result)
"""
#: The promotion's own code, in the copy of the program.
SCRIPT = """
import json
from promotion.operations.options import RollbackOptions
from promotion.operations.platform_changes import up_without_platform
from promotion.operations.session import Session
from promotion.preview.planned import plan

session = Session.of("rollback", RollbackOptions(stack="{name}"))
planned = plan(session.engine.stack, with_platform=True)
changes = [*(change.name for change in planned.platform_changes), *planned.faults]
up_without_platform(session, "the way back")
print(json.dumps([changes, session.engine.outputs]))
"""


@pytest.fixture
def project(new_project: Callable[..., Any], toolchain: dict[str, str]) -> Any:
    images = {"stableImage": OLD, "canaryImage": NEW}
    project = new_project(NAME, toolchain, cloud="aws", nodeCount=3, stableReplicas=2, canaryReplicas=1, **images)
    (project.folder / "__main__.py").write_text(PROGRAM)
    project.up()
    return project


def way_back(project: Any) -> tuple[list[str], dict[str, Any], str]:
    """Return the platform's changes and errors in a preview, and outputs and messages of an update without them."""
    done = project.run(sys.executable, "-c", SCRIPT.replace("{name}", NAME))
    changes, outputs = json.loads(done.stdout.splitlines()[-1])
    return changes, outputs, done.stdout


def test_the_way_back_leaves_the_platform_out(project: Any):
    before = project.outputs()
    project.configure(nodeCount=5, standbys=1, stableReplicas=3, canaryReplicas=None)
    changes, outputs, _ = way_back(project)
    assert sorted(changes) == ["nodes", "standby"]
    assert outputs["nodes"] == before["nodes"]
    assert len(outputs["stable"]) == 3
    names = {resource["urn"].rpartition("::")[2] for resource in project.state()["resources"]}
    assert {"nodes", "stable"} <= names
    assert not {"canary", "standby"} & names, "nothing new is made on the way back"


def test_the_platforms_versions_stop_no_way_back(project: Any):
    project.configure(version="1.99", plugin="4.21.3", stableReplicas=3, canaryReplicas=None)
    changes, outputs, said = way_back(project)
    assert "version 1.99 is not offered" in " ".join(changes), "any other update is refused"
    assert len(outputs["stable"]) == 3
    assert "repeating it with the platform" in said


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ({"canaryReplicas": None, "canaryImage": None}, 0),
        ({"canaryReplicas": None, "canaryImage": None, "stableImage": NEW}, 2),
    ],
    ids=["the canary goes", "the canary is promoted"],
)
def test_a_merged_roll_back_asks_for_no_version(project: Any, edits: dict[str, Any], code: int):
    """As CI applies it: a preview of the pull request, and then `up` that does what was reviewed."""

    def promotion(*arguments: str) -> str:
        done = project.run(sys.executable, "-m", "promotion", *arguments, "--stack", NAME, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    project.configure(version="1.99", **edits)
    shown = promotion("preview", "--save", "preview.json")
    assert ("version 1.99 is not offered" in shown) is bool(code)
    assert ("so it upgrades neither Kubernetes nor the database" in shown) is not bool(code)
    if not code:
        promotion("up", "--expect", "preview.json", "--yes")
        assert {*project.outputs()["tracks"]} == {"stable"}


FAILING_STABLE = """
from promotion.operations.options import RollbackOptions
from promotion.operations.session import Session
from promotion.state import engine

session = Session.of("rollback", RollbackOptions(stack="{name}"))
track = "urn:pulumi:{name}::addressbook::delivery:release:Release$random:index/randomString:RandomString::"
engine.forget_dependencies(session.engine.stack, track + "canary")
session.engine.excluded = [track + "stable"]
session.engine.up("the way back")
"""


def test_a_canary_is_removed_beside_a_failing_stable(project: Any):
    before = project.outputs()
    project.configure(stableReplicas=3, canaryReplicas=None)
    project.run(sys.executable, "-c", FAILING_STABLE.replace("{name}", NAME))
    names = {resource["urn"].rpartition("::")[2] for resource in project.state()["resources"]}
    assert "canary" not in names, "stable depended on it"
    assert project.outputs()["stable"] == before["stable"]
