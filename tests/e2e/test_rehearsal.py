"""Production stacks rehearsed: the cloud simulated, Kubernetes, registry, database and traffic real."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import simulation
from lab.certificates import Authority
from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Record
from lab.rehearsal import Rehearsal, alone, prepare, simulated_cloud
from lab.rehearse import IMPORT_COMMAND
from promotion.state.stack_state import KUBERNETES
from tests.e2e.killed_engine import engine_killed, pending, taken_in, unknown_to

ROOT = Path(__file__).resolve().parents[2]
PYTHON = str(ROOT / ".venv" / "bin" / "python")


@dataclass(frozen=True)
class Cloud:
    """What differs from cloud to cloud: the stack, the types to play faults on, how credentials are missing."""

    stack: str
    slow: str
    """Type whose creation times out in the whole life."""
    late: str
    """Type on which refusals are played; most of the rest is made before it."""
    cut_off: str
    """Type that is being made when the engine is killed."""
    no_login: Mapping[str, str]
    """Environment variables that take the login away, and what is then said."""
    no_login_said: str
    server: str
    """Type of the database server."""
    address: Callable[[Record], tuple[str, int]]
    """Where the server listens."""
    expired_said: str = "the credentials have expired"
    refuses_doubles: bool = True
    """Whether the cloud refuses a second one of what was cut off, because of its name."""


CLOUDS = {
    "digitalocean": Cloud(
        stack="prod",
        slow="KubernetesCluster",
        late="DatabaseUser",
        cut_off="DatabaseCluster",
        no_login={"DIGITALOCEAN_ACCESS_TOKEN": ""},
        no_login_said="there is no DigitalOcean API token; export DIGITALOCEAN_ACCESS_TOKEN",
        server="DatabaseCluster",
        address=lambda record: (record.outputs["host"], record.outputs["port"]),
    ),
    "gcp": Cloud(
        stack="prod-gcp",
        slow="Cluster",
        late="User",
        cut_off="DatabaseInstance",
        no_login={"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/credentials.json"},
        no_login_said="GOOGLE_APPLICATION_CREDENTIALS names /nowhere/credentials.json, and there is no such file",
        server="DatabaseInstance",
        address=lambda record: (record.outputs["privateIpAddress"], 5432),
    ),
    "aws": Cloud(
        stack="prod-aws",
        slow="Cluster",
        late="Addon",
        cut_off="RouteTable",
        no_login={"AWS_SECRET_ACCESS_KEY": ""},
        no_login_said="AWS takes none from this machine (Unable to locate credentials",
        server="Instance",
        address=lambda record: (record.outputs["__address"], 5432),
        expired_said="AWS takes none from this machine (An error occurred (ExpiredToken)",
        refuses_doubles=False,
    ),
}


def test_every_simulated_cloud_is_rehearsed_here():
    assert set(CLOUDS) == set(simulation.clouds())


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return CLOUDS[request.param]


def test_a_production_stack_goes_through_its_whole_life(lab: dict[str, str], cloud: Cloud):
    stack_file = ROOT / f"Pulumi.{cloud.stack}.yaml"
    before = stack_file.read_bytes()
    done = subprocess.run(
        [PYTHON, "-m", "lab", "rehearse", cloud.stack, "--fault", f"timeout:{cloud.slow}", "--output", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    assert done.returncode == 0, report["steps"][-1]
    assert report["ok"]
    assert report["left"] == []
    seen = {step["title"]: step["seen"] for step in report["steps"]}
    assert list(seen) == [
        "preview of an empty stack",
        f"up with the fault timeout:{cloud.slow}",
        "up",
        "the API through the public Service",
        "preview while nothing is pinned",
        "stable pinned by config",
        "preview again",
        "canary by config",
        "the API through stable and canary",
        "refresh",
        "destroy while it is protected",
        "destroy without protection",
    ]
    assert "builds nothing by itself since (buildFromSource is `first`)" in seen["preview while nothing is pinned"]
    assert "was copied to" in seen["canary by config"]
    assert "read from stable and from canary" in seen["the API through stable and canary"]
    assert "cannot be deleted" in seen["destroy while it is protected"]
    assert any("PostgreSQL" in line for line in report["simulated"])
    assert stack_file.read_bytes() == before
    assert not (Lab.from_environment().state / "rehearsals" / cloud.stack).exists()


@pytest.fixture
def rehearsal(lab: dict[str, str], cloud: Cloud) -> Iterator[Rehearsal]:
    """An empty rehearsed stack; nothing of it is left behind."""
    own = Lab.from_environment()
    with alone(own, simulated_cloud(cloud.stack)):
        stage = prepare(own, cloud.stack)
        try:
            stage.clear()
            stage.pulumi("stack", "init")
            yield stage
        finally:
            stage.clear()
            assert stage.left() == []
            stage.close()


def test_the_next_up_goes_on_after_a_killed_engine_and_after_refusals(rehearsal: Rehearsal, cloud: Cloud):
    """Whatever stops an `up`, it is said in a sentence; what was made is kept and nothing is made twice."""
    refused(rehearsal, cloud.no_login, cloud.no_login_said)
    refused(rehearsal, {FAULT_VARIABLE: "expired"}, cloud.expired_said)
    assert rehearsal.account.records() == [], "made without credentials"

    engine_killed(rehearsal, cloud.cut_off)
    begun = ids(rehearsal)
    what_was_cut_off_is_named_before_anything_is_made(rehearsal, cloud)
    if cloud.refuses_doubles:
        a_second_one_is_refused(rehearsal, cloud.cut_off, begun)
    taken_in(rehearsal)
    assert begun <= ids(rehearsal)
    everything_is_known(rehearsal)

    for fault, said in (
        (f"quota:{cloud.late}", "the account's limit is reached"),
        (f"name-taken:{cloud.late}", "the name is taken: somebody else has it"),
        ("expired", cloud.expired_said),
    ):
        made = ids(rehearsal)
        refused(rehearsal, {FAULT_VARIABLE: fault}, said)
        assert made <= ids(rehearsal)
        everything_is_known(rehearsal)

    made = ids(rehearsal)
    rehearsal.pulumi("up", "--yes", "--skip-preview")
    assert made < ids(rehearsal)
    everything_is_known(rehearsal)
    rehearsal.configure("buildFromSource", "always")  # the whole life shows what `first` refuses here
    rehearsal.pulumi("preview", "--expect-no-changes")
    the_database_is_guarded(rehearsal, cloud)


def refused(rehearsal: Rehearsal, environment: Mapping[str, str], said: str) -> None:
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra=environment)
    assert done.returncode != 0
    assert said in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def ids(rehearsal: Rehearsal) -> set[tuple[str, str]]:
    """Type and id of each; resources of different types may have the same id."""
    return {(each.type, each.id) for each in rehearsal.account.records()}


def everything_is_known(rehearsal: Rehearsal) -> None:
    """All that is in the account is in the state, so nothing was made twice; nothing is left undecided."""
    state = rehearsal.state()
    assert unknown_to(state, rehearsal.account) == [], "made twice"
    assert state.get("pending_operations", []) == []


def what_was_cut_off_is_named_before_anything_is_made(rehearsal: Rehearsal, cloud: Cloud) -> None:
    cut_off = pending(rehearsal)
    assert cloud.cut_off in {each["type"].rpartition(":")[2] for each in cut_off}
    before = rehearsal.account.records()
    done = rehearsal.run(PYTHON, "-m", "promotion", "up", "--stack", cloud.stack)
    assert done.returncode == 1, done.stdout + done.stderr
    for each in cut_off:
        assert f"{each['type'].rpartition(':')[2]} {each['urn'].rpartition('::')[2]}" in done.stderr
        known = r"\S+" if each["type"].startswith(KUBERNETES) else "ID"
        command = rf"`pulumi import {re.escape(each['type'])} {each['urn'].rpartition('::')[2]} {known} --parent="
        assert re.search(command, done.stderr), done.stderr
    for word in ("was cut off", "`pulumi refresh --clear-pending-creates`", "repeat this command"):
        assert word in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert rehearsal.account.records() == before


def a_second_one_is_refused(rehearsal: Rehearsal, cut_off: str, begun: set[tuple[str, str]]) -> None:
    """By its name, where a plain `up` has gone on: with a warning of what was cut off, and its id."""
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False)
    assert done.returncode != 0
    assert re.search(rf"urn:\S+:{cut_off}::\S+, interrupted while creating", done.stdout)
    # Where more was cut off than this type, the first refusal ends the update, whichever of them it is.
    named = {(found["type"].rpartition(":")[2], found["id"]) for found in IMPORT_COMMAND.finditer(done.stdout)}
    assert named
    assert named <= begun
    assert dict(named).keys() <= {each["type"].rpartition(":")[2] for each in pending(rehearsal)}


def the_database_is_guarded(rehearsal: Rehearsal, cloud: Cloud) -> None:
    """Another authority's certificate is refused by the service, and by the server: who is no pod, or without TLS."""
    pod = ("exec", "-n", rehearsal.namespace, "deployment/addressbook-stable", "--")
    assert rehearsal.kubectl(*pod, "addressbook", "ping").returncode == 0
    other = Authority(rehearsal.folder / "another-authority")
    other.ensure()
    wrong = rehearsal.kubectl(*pod, "env", f"DB_CA={other.certificate.read_text()}", "addressbook", "ping")
    assert wrong.returncode != 0
    assert "certificate" in (wrong.stdout + wrong.stderr).lower()
    plain = rehearsal.kubectl(*pod, "env", "DB_SSL=false", "DB_CA=", "addressbook", "ping")
    assert plain.returncode != 0
    assert "does not let the user in" in plain.stdout + plain.stderr

    (server,) = [each for each in rehearsal.account.records() if each.type == cloud.server]
    host, port = cloud.address(server)
    login = f"host={host} port={port} user=demouser dbname=demo sslmode=require"
    outside = subprocess.run(["psql", "-w", "-c", "select 1", login], capture_output=True, text=True)
    assert "no pg_hba.conf entry" in outside.stderr
