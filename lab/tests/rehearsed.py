"""What differs between the simulated clouds, as data for the tests of rehearsals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lab.layout import Lab
from lab.plugins.account import Record
from lab.rehearsal import simulated_cloud
from lab.simulation import of_cloud
from tests.project import ROOT


@dataclass(frozen=True)
class Cloud:
    """One simulated cloud: its stack, the resource types that errors are injected on, and its messages."""

    stack: str
    slow: str
    """Type whose creation times out during the whole life."""
    late: str
    """Type whose creation is refused, after most of the others exist."""
    interrupted: str
    """Type that is being created when the engine is killed."""
    no_login: Mapping[str, str]
    """Environment variables that remove the login."""
    no_login_message: str
    server: str
    """Type of the database server."""
    address: Callable[[Record], tuple[str, int]]
    """Return the host and port that a database server listens on."""
    refusals: Mapping[str, str] = field(default_factory=dict[str, str])
    """Faults that the program reports before it creates anything, and its message."""
    expired_message: str = "the credentials have expired"
    refuses_duplicates: bool = True
    """Whether the cloud refuses a second resource with the interrupted one's name."""


CLOUDS = {
    "digitalocean": Cloud(
        stack="prod",
        slow="KubernetesCluster",
        late="DatabaseUser",
        interrupted="DatabaseCluster",
        no_login={"DIGITALOCEAN_ACCESS_TOKEN": ""},
        no_login_message="there is no DigitalOcean API token; export DIGITALOCEAN_ACCESS_TOKEN",
        refusals={
            "quota:Droplet": "needs 4 Droplets, and the account has 0 of at most 3",
            "retired:KubernetesCluster": "DigitalOcean does not offer it for new clusters; set one of",
        },
        server="DatabaseCluster",
        address=lambda record: (record.outputs["host"], record.outputs["port"]),
    ),
    "gcp": Cloud(
        stack="prod-gcp",
        slow="Cluster",
        late="User",
        interrupted="DatabaseInstance",
        no_login={"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/credentials.json"},
        refusals={"disabled:Service": "gcloud services enable cloudresourcemanager.googleapis.com"},
        no_login_message="GOOGLE_APPLICATION_CREDENTIALS names /nowhere/credentials.json, which does not exist",
        server="DatabaseInstance",
        address=lambda record: (record.outputs["privateIpAddress"], 5432),
    ),
    "aws": Cloud(
        stack="prod-aws",
        slow="Cluster",
        late="Addon",
        interrupted="RouteTable",
        no_login={"AWS_SECRET_ACCESS_KEY": ""},
        no_login_message="AWS rejects those of this machine (Unable to locate credentials",
        server="Instance",
        address=lambda record: (record.outputs["__address"], 5432),
        expired_message="AWS rejects those of this machine (An error occurred (ExpiredToken)",
        refuses_duplicates=False,
    ),
}


def rehearse_restore(cloud: Cloud) -> None:
    """Rehearse the stack, lose its database in between, and restore it."""
    command = ("lab", "rehearse", cloud.stack, "--restore", "--output", "json")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report["steps"][-1]
    seen = {step["title"]: step["seen"] for step in report["steps"]}
    assert seen["every person is back"] == "all 20 persons read"
    assert seen["preview with the key"] == seen["preview without the key"] == "no changes"
    assert report["left"] == []


def rehearse_whole_life(cloud: Cloud, *, first_day: bool = False) -> None:
    """Rehearse the stack from an empty preview to its destruction, and check each step.

    A timeout comes in between, or with ``first_day`` each fault of a first day.
    """
    simulation = of_cloud(simulated_cloud(cloud.stack))
    faults = simulation.first_day if first_day else (f"timeout:{cloud.slow}",)
    chosen = ["--first-day"] if first_day else ["--fault", *faults]
    stack_file = ROOT / f"Pulumi.{cloud.stack}.yaml"
    before = stack_file.read_bytes()
    command = ("lab", "rehearse", cloud.stack, *chosen, "--output", "json")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report["steps"][-1]
    assert report["ok"]
    assert report["left"] == []
    seen = {step["title"]: step["seen"] for step in report["steps"]}
    assert list(seen) == [
        "preview of an empty stack",
        *(f"up with the fault {each}" for each in faults),
        "up",
        "the API through the public Service",
        "preview while nothing is pinned",
        "stable pinned by config",
        "preview again",
        "canary by config",
        "the API through stable and canary",
        "refresh",
        *([f"promotion with the fault {simulation.drift}"] if first_day and simulation.drift else []),
        *(["roll-back while the version is not offered"] if first_day else []),
        "destroy while it is protected",
        *(["destroy while a site does not answer"] if first_day else []),
        "destroy without protection",
    ]
    assert "no longer builds from source (buildFromSource is `first`)" in seen["preview while nothing is pinned"]
    assert "was copied to" in seen["canary by config"]
    assert "read from stable and canary" in seen["the API through stable and canary"]
    assert "cannot be deleted" in seen["destroy while it is protected"]
    assert any("PostgreSQL" in line for line in report["simulated"])
    assert stack_file.read_bytes() == before
    assert not (Lab.from_environment().state / "rehearsals" / cloud.stack).exists()
