"""The pipeline uses the first `docker` that supports BuildKit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import docker
from pipeline.errors import UsageError

WITH_BUILDX = 'test "$1" = buildx'
BEFORE_BUILDX = 'test "$1" = version && echo 20.10.24+dfsg1'
WITHOUT_BUILDX = 'test "$1" = version && echo 27.5.1'

Machine = Callable[..., list[str]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Return a function that puts these clients on PATH, in order, and returns their paths."""
    which = shutil.which

    def ours(command: str, path: str) -> str | None:
        return which(command, path=path) if path.startswith(str(tmp_path)) else None

    def put(*scripts: str) -> list[str]:
        places = [tmp_path / str(number) / "docker" for number, _ in enumerate(scripts)]
        for place, script in zip(places, scripts, strict=True):
            place.parent.mkdir()
            place.write_text(f"#!/bin/sh\n{script}\n")
            place.chmod(0o755)
        monkeypatch.setenv("PATH", ":".join([str(tmp_path / "empty"), *(str(each.parent) for each in places)]))
        return [str(each) for each in places]

    monkeypatch.setattr(shutil, "which", ours)
    docker.client.cache_clear()
    yield put
    docker.client.cache_clear()


@pytest.mark.parametrize(
    ("clients", "chosen"),
    [
        ([WITH_BUILDX, BEFORE_BUILDX], 0),
        ([BEFORE_BUILDX, WITH_BUILDX], 0),
        ([WITHOUT_BUILDX, WITH_BUILDX], 1),
        ([WITHOUT_BUILDX, WITHOUT_BUILDX, BEFORE_BUILDX], 2),
    ],
)
def test_first_client_with_buildkit_is_used(machine: Machine, clients: list[str], chosen: int):
    places = machine(*clients)
    assert docker.client() == places[chosen]


def test_no_client_supports_buildkit(machine: Machine):
    first, second = machine(WITHOUT_BUILDX, WITHOUT_BUILDX)
    with pytest.raises(UsageError) as error:
        docker.client()
    assert str(error.value) == (
        f"{first} and {second} cannot build with BuildKit: install Docker with its buildx plugin"
    )


def test_no_client_is_installed(machine: Machine):
    machine()
    with pytest.raises(UsageError) as error:
        docker.client()
    assert str(error.value) == "there is no docker command on PATH: install Docker with its buildx plugin"
