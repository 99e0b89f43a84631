"""Fixtures of the conformance suite: a project and a namespace that a module's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.tests.conformance.kubernetes_cluster import Namespace, temporary_namespace
from lab.tests.conformance.pulumi_project import OFFICIAL, STAND_IN, PulumiProject


@pytest.fixture(scope="session", autouse=True)
def tools(lab: dict[str, str]) -> None:
    """The lab's engine, kubectl and cluster, for the whole suite."""
    os.environ.update(lab)


@pytest.fixture(scope="module", params=[STAND_IN, OFFICIAL])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiProject]:
    """A project with the module's `PLUGIN`: first the stand-in, then the official one where it is installed."""
    name, version = request.module.PLUGIN
    project = PulumiProject(tmp_path_factory.mktemp(name), name, version, request.param)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture(scope="module")
def namespace(project: PulumiProject) -> Iterator[Namespace]:
    """A namespace of the cluster. It comes after the project, so that a missing plugin needs no cluster."""
    del project
    with temporary_namespace() as namespace:
        yield namespace
