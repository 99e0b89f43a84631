"""Which images are copied, what waits for the copy, and what changes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import registry_client
from components.image_copy import _Copier, release_tag  # pyright: ignore[reportPrivateUsage]
from components.registry_client import Login
from contract.platform import Registry
from stacks.parsing import ConfigError

Declare = Callable[..., Any]
DIGEST = "sha256:" + "cd" * 32
OTHER = "sha256:" + "ef" * 32
OWN = f"localhost:5001/addressbook@{DIGEST}"
ELSEWHERE = f"registry.example/team/addressbook@{DIGEST}"
COPY = "pulumi-python:dynamic/release:ImageCopy"


@pytest.fixture(autouse=True)
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the only regctl on PATH; no test runs it."""
    program = tmp_path / "bin" / "regctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    others = [each for each in os.environ["PATH"].split(":") if not (Path(each) / "regctl").exists()]
    monkeypatch.setenv("PATH", ":".join([str(program.parent), *others]))
    return program


def copies(graph: Any) -> list[Any]:
    return [resource for resource in graph.resources if resource.type == COPY]


def images(graph: Any) -> dict[str, str]:
    """Return the image of each Deployment and migration Job."""
    return {
        workload.name: workload.inputs["spec"]["template"]["spec"]["containers"][0]["image"]
        for workload in (*graph.all("Deployment"), *graph.all("Job"))
    }


def test_an_image_of_another_registry_is_copied(declare: Declare):
    graph = declare(stableImage=ELSEWHERE)
    (copy,) = copies(graph)
    assert copy.name == "image-cdcdcdcdcdcd"
    assert copy.inputs["source"] == ELSEWHERE
    assert copy.inputs["repository"] == "localhost:5001/addressbook"
    assert set(images(graph).values()) == {OWN}
    assert graph.outputs["tracks"]["stable"]["image"] == OWN
    for user in (graph.one("Deployment", "addressbook-stable"), graph.one("Job", "addressbook-migrate-cdcdcd")):
        assert copy.urn in user.dependencies


def test_an_image_of_the_own_registry_is_not_copied(declare: Declare):
    graph = declare(stableImage=OWN, canaryImage=OWN, canaryReplicas=1)
    assert copies(graph) == []
    assert set(images(graph).values()) == {OWN}


def test_tracks_share_a_copy_so_a_promotion_makes_none(declare: Declare):
    trial = declare(stableImage=f"registry.example/team/addressbook@{OTHER}", canaryImage=ELSEWHERE, canaryReplicas=1)
    assert {copy.name for copy in copies(trial)} == {"image-cdcdcdcdcdcd", "image-efefefefefef"}
    promoted = declare(stableImage=ELSEWHERE)
    (kept,) = copies(promoted)
    assert kept.urn in {copy.urn for copy in copies(trial)}
    (shared,) = copies(declare(stableImage=ELSEWHERE, canaryImage=f"quay.io/x@{DIGEST}", canaryReplicas=1))
    assert shared.name == kept.name
    assert copies(declare(stableImage=OWN, canaryImage=ELSEWHERE, canaryReplicas=0)) == [], "no canary is declared"


def test_a_preview_shows_the_copys_name(declare: Declare):
    graph = declare(preview=True, stableImage=ELSEWHERE)
    assert len(copies(graph)) == 1
    assert set(images(graph).values()) == {OWN}


def test_regctl_is_required_only_for_a_copy(declare: Declare, tool: Path):
    tool.unlink()
    with pytest.raises(pulumi.RunError, match=f"regctl: is not on PATH, but is needed to copy {ELSEWHERE}"):
        declare(stableImage=ELSEWHERE)
    assert declare(stableImage=OWN).resources


def test_the_copys_login_is_secret(declare: Declare, monkeypatch: pytest.MonkeyPatch):
    from stacks import local

    def with_login(url: str) -> Registry:
        return Registry(url=url, username="robot", password=pulumi.Output.from_input("token"))

    monkeypatch.setattr(local, "Registry", with_login)
    (copy,) = copies(declare(stableImage=ELSEWHERE))
    assert copy.inputs["username"] == "robot"
    assert "password" in copy.secret_paths


class Checked:
    """A copier whose registries hold the images in ``held``, without a network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.copier = _Copier()
        self.held: set[str] = set()
        self.lookups: list[tuple[str, Login | None]] = []
        monkeypatch.setattr(registry_client, "missing", self._missing)

    def _missing(self, image: str, login: Login | None) -> bool:
        self.lookups.append((image, login))
        return image not in self.held

    def __call__(self, old: dict[str, Any], **new: Any) -> tuple[dict[str, Any], list[str]]:
        inputs = {"source": ELSEWHERE, "repository": "localhost:5001/addressbook", **new}
        result = self.copier.check(old, inputs)
        return result.inputs, [failure.reason for failure in result.failures]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Checked:
    return Checked(monkeypatch)


def test_credentials_are_kept_out_of_the_state(check: Checked):
    check.held = {ELSEWHERE}
    kept, failures = check({}, username="robot", password="token")
    assert failures == []
    assert kept == {"source": ELSEWHERE, "repository": "localhost:5001/addressbook"}
    assert check.lookups == [(OWN, Login("robot", "token")), (ELSEWHERE, None)]


def test_the_stacks_login_is_used_only_for_its_registry(check: Checked):
    check({}, username="robot", password="token", source=f"localhost:5001/staging@{DIGEST}")
    assert check.lookups[-1] == (f"localhost:5001/staging@{DIGEST}", Login("robot", "token"))


def test_a_finished_copy_is_not_looked_up_again(check: Checked):
    same = {"source": ELSEWHERE, "repository": "localhost:5001/addressbook"}
    assert check(same, username="robot", password="another token")[1] == []
    assert check.lookups == []
    assert not check.copier.diff("id", same, same).changes


def test_an_image_must_exist_at_source_or_target(check: Checked):
    (failure,) = check({})[1]
    assert ELSEWHERE in failure
    assert "stableImage, canaryImage, databaseClientImage or gatewayImage" in failure
    check.held = {OWN}
    assert check({})[1] == []


def test_an_unknown_registry_is_not_queried(check: Checked):
    check.held = {ELSEWHERE}
    unknown = pulumi.runtime.rpc.UNKNOWN
    kept, failures = check({}, repository=unknown, username=unknown, password=unknown)
    assert failures == []
    assert kept["repository"] == unknown
    assert [image for image, _ in check.lookups] == [ELSEWHERE]


def test_the_stacks_own_image_is_only_tagged(check: Checked, monkeypatch: pytest.MonkeyPatch, tool: Path):
    check.held = {OWN}
    assert check({}, source=OWN) == ({"source": OWN, "repository": "localhost:5001/addressbook"}, [])
    copied: list[Any] = []
    monkeypatch.setattr(registry_client, "copy", lambda *given: copied.append(given))
    created = check.copier.create({"source": OWN, "repository": "localhost:5001/addressbook"})
    assert created.id == OWN
    assert copied == [(OWN, "localhost:5001/addressbook", "release-cdcdcdcdcdcd", None)]
    check.held = set()
    (failure,) = check({}, source=OWN)[1]
    assert f"the registry has no image {OWN}" in failure, "an image that the registry has removed must not run"
    tool.unlink()
    (failure,) = check({}, source=OWN)[1]
    assert "regctl: is not on PATH" in failure


def test_this_runs_build_is_not_looked_up_in_a_preview(check: Checked):
    unknown = pulumi.runtime.rpc.UNKNOWN
    assert check({}, source=unknown)[1] == []
    assert check.lookups == []
    old = {"source": OWN, "repository": "localhost:5001/addressbook"}
    rebuilding = check.copier.diff("id", old, {**old, "source": unknown})
    assert (rebuilding.changes, rebuilding.replaces) == (True, ["source"])
    rebuilt = check.copier.diff("id", old, {**old, "source": OWN.replace(DIGEST, OTHER)})
    assert (rebuilt.changes, rebuilt.replaces) == (True, ["source"])
    assert not check.copier.diff("id", old, old).changes


def test_only_another_repository_or_digest_replaces_a_copy(check: Checked):
    old = {"source": ELSEWHERE, "repository": "localhost:5001/addressbook"}
    moved = check.copier.diff("id", old, {**old, "repository": "localhost:5002/addressbook"})
    assert (moved.changes, moved.replaces) == (True, ["repository"])
    renamed = check.copier.diff("id", old, {**old, "source": f"quay.io/team/addressbook@{DIGEST}"})
    assert (renamed.changes, renamed.replaces) == (False, [])


@pytest.mark.parametrize(
    ("cloud", "keys", "own"),
    [
        ("local", {"registry": "10.0.0.1:5000/team"}, "10.0.0.1:5000/team"),
        ("digitalocean", {"registry": None}, "registry.digitalocean.com/addressbook-prod"),
        ("digitalocean", {"registry": "acme"}, "registry.digitalocean.com/acme"),
        ("gcp", {"region": "europe-west3"}, "europe-west3-docker.pkg.dev/acme-1/addressbook-prod"),
    ],
)
def test_a_cloud_recognises_its_own_images(cloud: str, keys: dict[str, Any], own: str, monkeypatch: pytest.MonkeyPatch):
    stack = import_module(f"stacks.{cloud}")
    for name, value in (("stack_name", "addressbook-prod"), ("project_id", "acme-1")):
        if hasattr(stack, name):
            monkeypatch.setattr(stack, name, lambda value=value: value)
    platform = stack.PlatformKeys.model_construct(**keys)
    assert platform.owns_image(f"{own}/addressbook@{DIGEST}") is True
    for other in (
        f"{own}2/addressbook",
        f"x{own}/addressbook",
        "registry.example/addressbook-prod/addressbook",
        "addressbook",
    ):
        assert platform.owns_image(f"{other}@{DIGEST}") is False, other


def test_on_aws_the_name_does_not_tell_who_owns_an_image():
    from stacks.aws import PlatformKeys

    own = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/addressbook-prod/addressbook@{DIGEST}"
    assert PlatformKeys.model_construct(region="eu-central-1").owns_image(own) is None


def test_the_release_tag_contains_the_digest():
    assert release_tag(ELSEWHERE) == release_tag(OWN) == "release-cdcdcdcdcdcd"


def test_invalid_config_is_reported_before_a_missing_tool(tool: Path):
    from stacks.local import PlatformKeys
    from stacks.parsing import parse

    tool.unlink()
    with pytest.raises(ConfigError) as raised:
        parse({"cloud": "local", "stableReplicas": "none", "stableImage": ELSEWHERE}, PlatformKeys)
    assert "stableReplicas" in str(raised.value)
