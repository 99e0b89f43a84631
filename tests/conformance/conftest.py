"""Fixtures of the conformance suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.kubernetes_cluster import Namespace, fresh_namespace
from tests.conformance.pulumi_project import OFFICIAL, STAND_IN, PulumiProject


@pytest.fixture(scope="session", autouse=True)
def tools(lab: dict[str, str]) -> None:
    """The lab's engine, kubectl and cluster, for all of the suite."""
    os.environ.update(lab)


@pytest.fixture(params=[STAND_IN, OFFICIAL])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PulumiProject]:
    """A project for the test module's `PLUGIN`: under the stand-in, then under the official one where installed."""
    name, version = request.module.PLUGIN
    project = PulumiProject(tmp_path, name, version, request.param)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture
def namespace(project: PulumiProject) -> Iterator[Namespace]:
    """A namespace of the cluster: asked for after the project, so that a missing plugin needs no cluster."""
    del project
    with fresh_namespace() as namespace:
        yield namespace
