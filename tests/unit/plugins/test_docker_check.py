"""Inputs of the docker stand-in's Image: defaults, and what stops a preview."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.plugins.docker.__main__ import IMAGE, Docker
from lab.plugins.docker.image import host_platform
from lab.plugins.serving import UNKNOWN, Checked, Engine, ProviderError, Resource

RESOURCE = Resource("urn:pulumi:s::p::docker:index/image:Image::it", IMAGE, "it")
PREVIEW = Resource(RESOURCE.urn, IMAGE, "it", preview=True)
NAME = "registry.example.com/a:v1"


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's folder with a context `app`, as the working directory."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(tmp_path)


def _check(**inputs: Any) -> Checked:
    return Docker(Engine()).check(RESOURCE, {}, inputs)


def test_defaults() -> None:
    checked = _check(imageName=NAME, build={"context": "app"})
    assert not checked.failures
    assert checked.inputs["buildOnPreview"] is False
    build = checked.inputs["build"]
    assert build["dockerfile"] == "app/Dockerfile"
    assert build["platform"] == host_platform()
    assert len(build["contextDigest"]) == 64


@pytest.mark.parametrize(
    "inputs",
    [
        {"imageName": UNKNOWN, "build": {"context": "app"}},
        {"imageName": NAME, "build": UNKNOWN},
        {"imageName": NAME, "build": {"context": UNKNOWN}},
        {"imageName": NAME, "build": {"context": "app", "dockerfile": UNKNOWN}},
        {"imageName": NAME, "build": {"context": "app", "args": UNKNOWN, "platform": UNKNOWN}},
        {"imageName": NAME, "build": {"context": "app", "args": {"A": UNKNOWN}, "cacheFrom": UNKNOWN}},
        {"imageName": NAME, "build": {"context": "app", "cacheFrom": {"images": UNKNOWN}}},
        {"imageName": NAME, "build": {"context": "app", "cacheFrom": {"images": [UNKNOWN]}}, "skipPush": UNKNOWN},
        {"imageName": NAME, "build": {"context": "app"}, "registry": UNKNOWN},
        {"imageName": NAME, "build": {"context": "app"}, "registry": {"server": UNKNOWN, "password": UNKNOWN}},
    ],
    ids=str,
)
def test_what_is_not_known_yet_is_no_fault(inputs: dict[str, Any]) -> None:
    provider = Docker(Engine())
    checked = provider.check(RESOURCE, {}, inputs)
    assert not checked.failures
    created = provider.create(PREVIEW, checked.inputs)
    assert created.id == ""
    assert created.outputs["repoDigest"] is UNKNOWN


@pytest.mark.parametrize(
    ("inputs", "property_path"),
    [
        ({"build": {"context": "app"}}, "imageName"),
        ({"imageName": 7, "build": {"context": "app"}}, "imageName"),
        ({"imageName": "a:v1", "build": {"context": "app"}}, "imageName"),
        ({"imageName": NAME, "build": {"context": "nowhere"}}, "build.context"),
        ({"imageName": NAME, "build": {"context": "app", "dockerfile": "Dockerfile"}}, "build.dockerfile"),
        ({"imageName": NAME, "build": {"context": "app", "builderVersion": "3"}}, "build.builderVersion"),
        ({"imageName": NAME, "build": {"context": "app", "cacheFrom": {}}}, "build.cacheFrom"),
        ({"imageName": NAME, "build": {"context": "app", "args": {"A": 1}}}, "build.args.A"),
        ({"imageName": NAME, "build": {"context": "app", "extraOptions": []}}, "build.extraOptions"),
        ({"imageName": NAME, "build": {"context": "app"}, "registry": {"url": "x"}}, "registry.url"),
        ({"imageName": NAME, "build": {"context": "app"}, "tags": []}, "tags"),
        (
            {"imageName": NAME, "build": {"context": "app", "cacheFrom": {"images": ["b:v1"]}}},
            "build.cacheFrom.images[0]",
        ),
    ],
    ids=str,
)
def test_a_wrong_input_is_named(inputs: dict[str, Any], property_path: str) -> None:
    assert [failure.property for failure in _check(**inputs).failures] == [property_path]


def test_a_name_that_is_not_pushed_may_be_short() -> None:
    assert not _check(imageName="a:v1", build={"context": "app"}, skipPush=True).failures


def test_other_resources_are_refused_in_one_sentence() -> None:
    other = Resource(RESOURCE.urn, "docker:index/container:Container", "it")
    with pytest.raises(ProviderError, match="makes docker:index/image:Image only"):
        Docker(Engine()).check(other, {}, {})
