"""The service's rights on its database, and the image whose psql grants them."""

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
    """Put the only regctl on PATH; no test runs it."""
    program = account / "regctl"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program


def image_of(job: Any) -> str:
    (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
    return container["image"]


def copies(stack: Any) -> list[Any]:
    """Return the copies of the client image, without those of the service's image."""
    return [each for each in stack.resources if each.type == COPY and "delivery:release:" not in each.parent]


def test_names_in_sql_are_quoted():
    assert '"a""b"' in grants("demo", 'a"b')


@GRANTING
def test_a_tagged_client_image_is_not_copied(graph: Declare, simulated: SimulatedCloud):
    stack = graph()
    assert image_of(stack.one("Job", "database-rights")) == "postgres:15-bookworm"
    assert image_of(graph(databaseClientImage="mirror.example/pg:16").one("Job", "database-rights")).endswith("/pg:16")
    assert copies(stack) == []


@GRANTING
def test_a_job_has_at_least_the_time_of_a_rollout(graph: Declare, simulated: SimulatedCloud):
    def seconds(**config: Any) -> tuple[int, int]:
        job = graph(**config).one("Job", "database-rights").inputs
        return (
            job["spec"]["activeDeadlineSeconds"],
            int(job["metadata"]["annotations"]["pulumi.com/timeoutSeconds"]),
        )

    assert seconds() == (300, 330)
    assert seconds(rolloutTimeoutSeconds=900) == (900, 930)


@GRANTING
def test_a_pinned_client_image_is_copied_first(graph: Declare, simulated: SimulatedCloud, copier: Path):
    stack = graph(databaseClientImage=f"postgres:15-bookworm@{DIGEST}")
    (copy,) = copies(stack)
    assert copy.inputs["source"] == f"postgres@{DIGEST}"
    assert copy.inputs["repository"] == simulated.access.repository
    assert "delivery:kubernetes:DatabaseRights" in copy.parent
    job = stack.one("Job", "database-rights")
    assert image_of(job) == f"{simulated.access.repository}@{DIGEST}"
    assert copy.urn in job.dependencies


@pytest.mark.parametrize("simulated", CLOUDS, ids=lambda cloud: cloud.name)
def test_a_release_stack_copies_the_client_image_too(
    graph: Declare, simulated: SimulatedCloud, copier: Path, cloud: Any
):
    outputs = dict(graph().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": outputs, "secretOutputNames": []}
    on = {"platformStack": "prod", "namespace": "branch", **dict.fromkeys(simulated.of_platform, "")}
    assert image_of(graph(**on).one("Job", "database")) == "postgres:15-bookworm"
    stack = graph(**on, databaseClientImage=f"postgres@{DIGEST}")
    (copy,) = copies(stack)
    job = stack.one("Job", "database")
    assert image_of(job) == f"{simulated.access.repository}@{DIGEST}"
    assert copy.urn in job.dependencies


@GRANTING
@pytest.mark.parametrize(
    "wrong", ["postgres", "registry.example:5000/postgres", "postgres@sha256:abc", f"@{DIGEST}", "pg :15"]
)
def test_an_invalid_client_image_is_refused(errors: Callable[..., list[str]], simulated: SimulatedCloud, wrong: str):
    (error,) = errors(databaseClientImage=wrong)
    assert error.startswith(f"databaseClientImage = '{wrong}': must be REPOSITORY@sha256:")


@pytest.mark.parametrize("simulated", [AWS], ids=lambda cloud: cloud.name)
def test_aws_refuses_a_client_image(errors: Callable[..., list[str]], simulated: SimulatedCloud):
    (error,) = [error for error in errors(databaseClientImage="postgres:16") if "databaseClientImage" in error]
    assert "cloud `aws` does not use this key" in error


@GRANTING
def test_a_pinned_client_image_requires_regctl(graph: Declare, simulated: SimulatedCloud):
    with pytest.raises(pulumi.RunError, match=f"regctl: is not on PATH, but is needed to copy postgres@{DIGEST}"):
        graph(databaseClientImage=f"postgres@{DIGEST}")
