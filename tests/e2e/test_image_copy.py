"""Images copied into the stack's own registry and tagged to stay, on real registries, with pods that run the copy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import registries
from tests.e2e.immutable_tags import immutable
from tests.e2e.registries import Published, Registry

NAMESPACE = "addressbook-e2e"
LAB = "10.203.0.1:5000"
LOGIN = ("pusher", "correct:horse")
#: The login comes from the environment, not from the config, as it comes from the cloud on a cloud.
PROGRAM = """\
import os

import pulumi

from components.image_copy import ImageCopy
from contract.platform import Registry

config = pulumi.Config()
password = pulumi.Output.secret(os.environ["REGISTRY_PASSWORD"])
registry = Registry(config.require("registry"), os.environ["REGISTRY_USER"], password)
pulumi.export("image", ImageCopy(config.require("source"), registry, "team/app").image)
"""
PROJECT = """\
name: addressbook
runtime:
  name: python
  options:
    virtualenv: .venv
"""
#: Precedes the real regctl on PATH and notes what other users of the machine could see of each call.
WITNESS = """\
#!/bin/sh
echo "$(stat -c %a "$REGCTL_CONFIG") $(stat -c %a "$(dirname "$REGCTL_CONFIG")") $*" >> '{notes}'
exec '{real}' "$@"
"""


@pytest.fixture
def ci(lab: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry that CI pushes to."""
    monkeypatch.setenv("PATH", lab["PATH"])
    with registries.registry(tmp_path / "ci") as registry:
        yield registry


@pytest.fixture
def published(ci: Registry) -> Published:
    """A small image in CI's registry; it cannot run."""
    layer, configuration = os.urandom(2000), registries.encoded({"architecture": "amd64", "os": "linux"})
    manifest = registries.image_manifest(configuration, layer)
    blobs = {registries.digest_of(content): content for content in (layer, configuration)}
    return registries.publish(ci, "team/app", (manifest, registries.MANIFEST), blobs)


@pytest.fixture
def own(tmp_path: Path, ci: Registry) -> Iterator[Registry]:
    """The stack's registry, which requires a login."""
    with registries.registry(tmp_path / "own", LOGIN) as registry:
        yield registry


@pytest.fixture
def copying(
    lab: dict[str, str],
    new_project: Callable[..., Any],
    own: Registry,
    published: Published,
    ci: Registry,
    tmp_path: Path,
) -> Iterator[Any]:
    """A stack of one copy and nothing else, with a witness of each regctl process."""
    project = new_project(f"copies-{tmp_path.name}"[:40].strip("-_"), lab)
    (project.folder / "__main__.py").write_text(PROGRAM)
    (project.folder / "Pulumi.yaml").write_text(PROJECT)
    commands, temporary = tmp_path / "commands", tmp_path / "temporary"
    commands.mkdir()
    temporary.mkdir()
    project.notes = tmp_path / "notes"
    project.temporary = temporary
    real = shutil.which("regctl", path=lab["PATH"])
    (commands / "regctl").write_text(WITNESS.format(notes=project.notes, real=real))
    (commands / "regctl").chmod(0o755)
    project.environment["PATH"] = f"{commands}{os.pathsep}{lab['PATH']}"
    project.environment["TMPDIR"] = str(temporary)
    project.environment.update(REGISTRY_USER=LOGIN[0], REGISTRY_PASSWORD=LOGIN[1])
    project.configure(source=published.reference(ci), registry=own.host)
    yield project
    project.pulumi("destroy", "--yes", "--skip-preview", check=False)


def test_copy_includes_platforms_attestation_and_signatures(copying: Any, published: Published, own: Registry):
    (step,) = [s for name, s in copying.preview_steps().items() if name.startswith("image-")]
    assert step["op"] == "create"
    assert own.manifest("team/app", published.digest) is None, "a preview copies nothing"

    copying.up()
    assert copying.outputs()["image"] == f"{own.host}/team/app@{published.digest}"
    for digest, content in published.manifests.items():
        assert own.manifest("team/app", digest) == content
    assert all(own.blob("team/app", digest) for digest in published.blobs)
    tag = f"release-{published.digest.removeprefix('sha256:')[:12]}"
    assert {tag, published.signature_tag} <= set(own.tags("team/app"))
    assert own.manifest("team/app", tag) == published.manifests[published.digest]

    copying.up("--expect-no-changes")
    copying.pulumi("destroy", "--yes", "--skip-preview")
    assert own.manifest("team/app", tag), "a rollback may need an image that is no longer declared"


def test_image_in_the_own_registry_is_tagged_to_stay(copying: Any, own: Registry):
    layer, configuration = os.urandom(2000), registries.encoded({"architecture": "amd64", "os": "linux"})
    for content in (layer, configuration):
        own.push_blob("team/app", content)
    digest = own.push_manifest(
        "team/app", registries.image_manifest(configuration, layer), registries.MANIFEST, tag="src-0123456789ab"
    )
    tag = f"release-{digest.removeprefix('sha256:')[:12]}"
    with immutable(own) as never_moving:
        copying.configure(source=f"{never_moving.host}/team/app@{digest}", registry=never_moving.host)
        written = len(own.writes())
        copying.preview_steps()
        assert own.tags("team/app") == ["src-0123456789ab"], "a preview tags nothing"
        copying.up()
        assert own.tags("team/app") == [tag, "src-0123456789ab"]
        (tagging,) = own.writes()[written:]
        assert f"/manifests/{tag} " in tagging, "nothing else is written"
        copying.up("--expect-no-changes")
        copying.pulumi("destroy", "--yes", "--skip-preview")
        assert tag in own.tags("team/app"), "a rollback may need an image that is no longer declared"
        copying.up()
        assert len(own.writes()) == written + 1, "created again, it finds the tag, which cannot be set twice"
        copying.pulumi("destroy", "--yes", "--skip-preview")


def test_image_gone_from_the_own_registry_is_refused(copying: Any, own: Registry):
    gone = f"{own.host}/team/app@sha256:{'0' * 64}"
    copying.configure(source=gone)
    refused = copying.pulumi("preview", check=False)
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert f"the registry has no image {gone}" in output
    assert "Traceback" not in output


def test_copying_again_transfers_missing_parts_only(copying: Any, published: Published, own: Registry):
    copying.up()
    written = len(own.writes())
    assert written >= len(published.blobs)
    copying.pulumi("destroy", "--yes", "--skip-preview")
    copying.up()
    assert len(own.writes()) == written, "created again, the copy finds everything in place"
    own.request("DELETE", f"/v2/team/app/manifests/{published.digest}")
    copying.pulumi("destroy", "--yes", "--skip-preview")
    copying.up()
    moved = own.writes()[written:]
    assert moved
    assert all("/manifests/" in line for line in moved), "only the index is restored"


def test_login_is_in_no_state_process_or_file(copying: Any, own: Registry):
    copying.up()
    everything = copying.pulumi("stack", "export", "--show-secrets").stdout
    assert LOGIN[0] not in everything
    assert LOGIN[1] not in everything
    notes = copying.notes.read_text()
    assert "image copy" in notes
    assert LOGIN[1] not in notes
    assert {line.split()[0] for line in notes.splitlines()} == {"600"}
    assert {line.split()[1] for line in notes.splitlines()} == {"700"}
    assert not list(copying.temporary.glob("regctl-*"))
    copying.environment["REGISTRY_PASSWORD"] = "a token of the next hour"
    copying.up("--expect-no-changes")


def test_refused_login_is_explained(copying: Any, ci: Registry, own: Registry, published: Published):
    copying.environment["REGISTRY_PASSWORD"] = "expired"
    refused = copying.up(check=False)
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert f"the image {published.reference(ci)} could not be copied to {own.host}/team/app: " in output
    assert "unauthorized; the stack's login may not push there" in output
    assert "Traceback" not in output
    copying.environment["REGISTRY_PASSWORD"] = LOGIN[1]
    copying.up()
    assert own.manifest("team/app", published.digest)


def test_missing_source_image_is_refused_in_preview(copying: Any, ci: Registry):
    nowhere = f"{ci.host}/team/app@sha256:{'0' * 64}"
    copying.configure(source=nowhere)
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        refused = copying.pulumi(*command, check=False)
        output = refused.stdout + refused.stderr
        assert refused.returncode != 0
        assert f"the registry has no image {nowhere}" in output
        assert "Traceback" not in output


def test_copy_outlives_its_source(copying: Any, ci: Registry, own: Registry, published: Published):
    copying.up()
    copying.pulumi("destroy", "--yes", "--skip-preview")
    ci.request("DELETE", f"/v2/team/app/manifests/{published.digest}")
    assert ci.manifest("team/app", published.digest) is None
    copying.up()
    assert own.manifest("team/app", published.digest)


@pytest.fixture
def runnable(calm: Any, ci: Registry) -> Iterator[Published]:
    """The addressbook's image in an index of CI's registry; the test's copies are removed from the lab's registry."""
    target = Registry(LAB, Path(os.devnull))
    digest = calm.outputs()["tracks"]["stable"]["image"].partition("@")[2]
    status, headers, manifest = target.request(
        "GET",
        f"/v2/addressbook/manifests/{digest}",
        headers={"Accept": f"{registries.MANIFEST}, {registries.DOCKER_MANIFEST}"},
    )
    assert status == 200, manifest
    parts = json.loads(manifest)
    names = [part["digest"] for part in (parts["config"], *parts["layers"])]
    blobs = {name: target.blob("addressbook", name) or b"" for name in names}
    image = registries.publish(ci, "ci/addressbook", (manifest, headers["content-type"]), blobs)
    yield image
    calm.pulumi("config", "rm", "stableImage", check=False)
    for added in (image.digest.replace(":", "-"), image.signature_tag):
        if (content := target.manifest("addressbook", added)) is not None:
            target.request("DELETE", f"/v2/addressbook/manifests/{registries.digest_of(content)}")
    for each in image.manifests.keys() - {digest}:
        target.request("DELETE", f"/v2/addressbook/manifests/{each}")
    assert not [tag for tag in target.tags("addressbook") if image.digest[7:19] in tag]


def test_pods_run_the_copy(calm: Any, ci: Registry, runnable: Published):
    target = Registry(LAB, Path(os.devnull))
    image = f"{LAB}/addressbook@{runnable.digest}"
    calm.configure(canaryImage=runnable.reference(ci), canaryReplicas=1)
    planned = calm.preview_steps()
    assert planned[f"image-{runnable.digest[7:19]}"]["op"] == "create"
    canary = planned["addressbook-canary"]["newState"]["inputs"]["spec"]["template"]["spec"]["containers"][0]
    assert canary["image"] == image, "a preview shows the image that pods will run"
    assert target.manifest("addressbook", runnable.digest) is None

    calm.up()
    assert calm.outputs()["tracks"]["canary"]["image"] == image
    for digest, content in runnable.manifests.items():
        assert target.manifest("addressbook", digest) == content == ci.manifest("ci/addressbook", digest)
    (pod,) = calm.objects("pods", NAMESPACE, "app=addressbook,track=canary")
    (container,) = pod["status"]["containerStatuses"]
    assert container["ready"], "the node pulled its own platform from the index"
    assert pod["spec"]["containers"][0]["image"] == image
    calm.up("--expect-no-changes")

    calm.configure(stableImage=runnable.reference(ci), canaryReplicas=0)
    promotion = calm.preview_steps()
    assert not [name for name in promotion if name.startswith("image-")], "a promotion copies nothing"
    calm.up()
    assert calm.outputs()["tracks"]["stable"]["image"] == image


def test_missing_image_touches_no_pod(calm: Any, ci: Registry):
    before = _running_stable(calm)
    assert before
    nowhere = f"{ci.host}/ci/addressbook@sha256:{'0' * 64}"
    calm.configure(stableImage=nowhere)
    try:
        refused = calm.up(check=False)
    finally:
        calm.configure(stableImage=None)
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert f"the registry has no image {nowhere}" in output
    assert "Traceback" not in output
    assert _running_stable(calm) == before


def _running_stable(calm: Any) -> set[str]:
    """Return stable's pods that are not terminating."""
    pods = calm.objects("pods", NAMESPACE, "app=addressbook,track=stable")
    return {pod["metadata"]["uid"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}
