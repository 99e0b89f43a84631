"""What the service may do in its database, and whose psql says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.database_rights import grants
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.clouds import AWS, CLOUDS, DIGITALOCEAN, GCP
from tests.unit.components.simulated import SimulatedCloud

Declare = Callable[..., Any]
DIGEST = "sha256:" + "5e" * 32
COPY = "pulumi-python:dynamic/release:ImageCopy"
GRANTING = pytest.mark.parametrize("simulated", [DIGITALOCEAN, GCP], ids=lambda cloud: cloud.name)


@pytest.fixture
def copier(account: Path) -> Path:
    """The only regctl on PATH; nothing here runs it."""
    program = account / "regctl"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program


def image_of(job: Any) -> str:
    (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
    return container["image"]


def copies(made: Any) -> list[Any]:
    """Copies of psql's image; an image of the service may be copied too."""
    return [each for each in made.resources if each.type == COPY and "delivery:release:" not in each.parent]


def test_names_in_sql_are_quoted():
    assert '"a""b"' in grants("demo", 'a"b')


@GRANTING
def test_by_a_tag_psql_is_pulled_from_where_it_is(graph: Declare, simulated: SimulatedCloud):
    made = graph()
    assert image_of(made.one("Job", "database-rights")) == "postgres:15-bookworm"
    assert image_of(graph(databaseClientImage="mirror.example/pg:16").one("Job", "database-rights")).endswith("/pg:16")
    assert copies(made) == []


@GRANTING
def test_by_digest_psql_is_copied_into_the_stacks_registry_first(
    graph: Declare, simulated: SimulatedCloud, copier: Path
):
    made = graph(databaseClientImage=f"postgres:15-bookworm@{DIGEST}")
    (copy,) = copies(made)
    assert copy.inputs["source"] == f"postgres@{DIGEST}"
    assert copy.inputs["repository"] == simulated.access.repository
    assert "delivery:kubernetes:DatabaseRights" in copy.parent
    job = made.one("Job", "database-rights")
    assert image_of(job) == f"{simulated.access.repository}@{DIGEST}"
    assert copy.urn in job.dependencies


@pytest.mark.parametrize("simulated", CLOUDS, ids=lambda cloud: cloud.name)
def test_a_release_stack_makes_its_database_with_a_copy_too(
    graph: Declare, simulated: SimulatedCloud, copier: Path, cloud: Any
):
    outputs = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    on = {"platformStack": "prod", "namespace": "branch", **dict.fromkeys(simulated.of_platform, "")}
    assert image_of(graph(**on).one("Job", "database")) == "postgres:15-bookworm"
    made = graph(**on, databaseClientImage=f"postgres@{DIGEST}")
    (copy,) = copies(made)
    job = made.one("Job", "database")
    assert image_of(job) == f"{simulated.access.repository}@{DIGEST}"
    assert copy.urn in job.dependencies


@GRANTING
@pytest.mark.parametrize(
    "wrong", ["postgres", "registry.example:5000/postgres", "postgres@sha256:abc", f"@{DIGEST}", "pg :15"]
)
def test_what_names_no_image_is_refused(faults: Callable[..., list[str]], simulated: SimulatedCloud, wrong: str):
    (fault,) = faults(databaseClientImage=wrong)
    assert fault.startswith(f"databaseClientImage = '{wrong}': names no image: REPOSITORY@sha256:")


@pytest.mark.parametrize("simulated", [AWS], ids=lambda cloud: cloud.name)
def test_a_platform_that_runs_no_psql_has_no_use_for_it(faults: Callable[..., list[str]], simulated: SimulatedCloud):
    (fault,) = [fault for fault in faults(databaseClientImage="postgres:16") if "databaseClientImage" in fault]
    assert "cloud `aws` has no use for it" in fault


@GRANTING
def test_without_the_copier_a_digest_of_elsewhere_is_refused(graph: Declare, simulated: SimulatedCloud):
    with pytest.raises(pulumi.RunError, match=f"regctl: not on PATH, and it copies postgres@{DIGEST}"):
        graph(databaseClientImage=f"postgres@{DIGEST}")
