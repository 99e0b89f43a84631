"""Production stacks rehearsed: the cloud simulated, Kubernetes, registry, database and traffic real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import simulation
from lab.certificates import Authority
from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Record
from lab.rehearsal import Rehearsal, prepare
from lab.rehearse import IMPORT_COMMAND
from tests.e2e.processes import descendants

ROOT = Path(__file__).resolve().parents[2]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
WAIT_SECONDS = 120
#: Times that an interrupted `up` is repeated at most, with what the account has taken over in between.
REPEATS = 6


@dataclass(frozen=True)
class Cloud:
    """What differs from cloud to cloud: the stack, the types to play faults on, how credentials are missing."""

    stack: str
    slow: str
    """Type whose creation times out in the whole life."""
    early: str
    """Type on which refusals are played; most of the rest needs it, so that little is made."""
    no_login: Mapping[str, str]
    """Environment variables that take the login away, and what is then said."""
    no_login_said: str
    server: str
    """Type of the database server."""
    address: Callable[[Record], tuple[str, int]]
    """Where the server listens."""
    expired_said: str = "the credentials have expired"
    nameless: frozenset[str] = frozenset()
    """Types that the cloud would make twice without a word, since it makes up their names, or the engine does."""


CLOUDS = {
    "digitalocean": Cloud(
        stack="prod",
        slow="KubernetesCluster",
        early="Vpc",
        no_login={"DIGITALOCEAN_ACCESS_TOKEN": ""},
        no_login_said="there is no DigitalOcean API token; export DIGITALOCEAN_ACCESS_TOKEN",
        server="DatabaseCluster",
        address=lambda record: (record.outputs["host"], record.outputs["port"]),
    ),
    "gcp": Cloud(
        stack="prod-gcp",
        slow="Cluster",
        early="Network",
        no_login={"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/credentials.json"},
        no_login_said="GOOGLE_APPLICATION_CREDENTIALS names /nowhere/credentials.json, and there is no such file",
        server="DatabaseInstance",
        address=lambda record: (record.outputs["privateIpAddress"], 5432),
    ),
    "aws": Cloud(
        stack="prod-aws",
        slow="Cluster",
        early="Role",
        no_login={"AWS_SECRET_ACCESS_KEY": ""},
        no_login_said="AWS takes none from this machine (Unable to locate credentials",
        server="Instance",
        address=lambda record: (record.outputs["__address"], 5432),
        expired_said="AWS takes none from this machine (An error occurred (ExpiredToken)",
        nameless=frozenset(
            ["Vpc", "Eip", "RouteTable", "SecurityGroup", "Key", "RolePolicy", "ParameterGroup", "NodeGroup"]
        ),
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
    assert [step["title"] for step in report["steps"]] == [
        "preview of an empty stack",
        f"up with the fault timeout:{cloud.slow}",
        "up",
        "the API through the public Service",
        "preview again",
        "canary by config",
        "the API through stable and canary",
        "refresh",
        "destroy while it is protected",
        "destroy without protection",
    ]
    assert any("PostgreSQL" in line for line in report["simulated"])
    assert stack_file.read_bytes() == before
    assert not (Lab.from_environment().state / "rehearsals" / cloud.stack).exists()


@pytest.fixture
def rehearsal(lab: dict[str, str], cloud: Cloud) -> Iterator[Rehearsal]:
    """An empty rehearsed stack; nothing of it is left behind."""
    stage = prepare(Lab.from_environment(), cloud.stack)
    try:
        stage.clear()
        stage.pulumi("stack", "init")
        yield stage
    finally:
        stage.clear()
        assert stage.left() == []
        stage.close()


def test_a_refusal_is_one_clear_sentence(rehearsal: Rehearsal, cloud: Cloud):
    refused(rehearsal, cloud.no_login, cloud.no_login_said)
    assert rehearsal.account.records() == [], "made without credentials"
    for fault, said in (
        ("expired", cloud.expired_said),
        (f"quota:{cloud.early}", "the account's limit is reached"),
        (f"name-taken:{cloud.early}", "the name is taken: somebody else has it"),
    ):
        refused(rehearsal, {FAULT_VARIABLE: fault}, said)


def refused(rehearsal: Rehearsal, environment: Mapping[str, str], said: str) -> None:
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra=environment)
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_engine_killed_in_the_midst_leaves_no_duplicate(rehearsal: Rehearsal, cloud: Cloud):
    """What was being made is in the account; the next `up` names it, an import takes it over, the rest goes on."""
    engine = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", cloud.stack, "--non-interactive"],
        cwd=rehearsal.program,
        env=rehearsal.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: any(each.type == cloud.server for each in rehearsal.account.records()))
    kill(engine, rehearsal)
    begun = {each.id for each in rehearsal.account.records()}
    rehearsal.pulumi("cancel", "--yes", check=False)  # the killed engine's lock

    if nameless := interrupted(rehearsal, cloud.nameless):
        rehearsal.take_over(*nameless)
    for _ in range(REPEATS):
        done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False)
        if done.returncode == 0:
            break
        named = {(found["type"], found["id"]) for found in IMPORT_COMMAND.finditer(done.stdout)}
        pods = rehearsal.kubectl("logs", "-n", rehearsal.namespace, "-l", "app=addressbook-migrate", "--tail=20")
        assert named, f"it is not said what was interrupted:\n{done.stdout}{done.stderr}\n{pods.stdout}"
        assert {id for _, id in named} <= begun
        rehearsal.take_over(*sorted(named))
    state = json.loads(rehearsal.pulumi("stack", "export").stdout)["deployment"]["resources"]
    known = {each.get("id") for each in state}
    assert [each.id for each in rehearsal.account.records() if each.id not in known] == [], "made twice"
    rehearsal.pulumi("preview", "--expect-no-changes")
    the_database_is_guarded(rehearsal, cloud)


def kill(engine: subprocess.Popen[bytes], rehearsal: Rehearsal) -> None:
    """End it at once, but while its state is whole: a folder's is cut off in the middle of a write, a bucket's not."""
    folder = rehearsal.folder / ".pulumi" / "stacks" / "addressbook"

    def stopped_between_writes() -> bool:
        os.killpg(engine.pid, signal.SIGSTOP)
        try:
            for name in (f"{rehearsal.stack}.json", f"{rehearsal.stack}.json.attrs"):
                json.loads((folder / name).read_bytes())
        except (FileNotFoundError, ValueError):
            os.killpg(engine.pid, signal.SIGCONT)
            return False
        return True

    wait_for(stopped_between_writes)
    # Not what they have started: the simulated cloud's PostgreSQL servers live on.
    plugins = [each for each in descendants(engine.pid) if each.parent == engine.pid]
    os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    # A plugin may still note in the account what it has begun.
    wait_for(lambda: not any(plugin.runs for plugin in plugins))


def interrupted(rehearsal: Rehearsal, kinds: frozenset[str]) -> list[tuple[str, str]]:
    """Type and id of what of these kinds is in the account and not in the state, whose operations name it."""
    state = json.loads(rehearsal.pulumi("stack", "export").stdout)["deployment"]
    known = {each.get("id") for each in state["resources"]}
    begun = {each["resource"]["type"].rpartition(":")[2]: each["resource"] for each in state["pending_operations"]}
    records = rehearsal.account.records()
    return [(begun[each.type]["type"], each.id) for each in records if each.type in kinds and each.id not in known]


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


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
