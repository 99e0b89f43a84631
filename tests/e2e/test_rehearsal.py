"""Production stacks rehearsed: the cloud simulated, Kubernetes, registry, database and traffic real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.certificates import Authority
from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE
from lab.rehearsal import Rehearsal, prepare

ROOT = Path(__file__).resolve().parents[2]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
WAIT_SECONDS = 120


def test_the_production_stack_goes_through_its_whole_life(lab: dict[str, str]):
    before = (ROOT / "Pulumi.prod.yaml").read_bytes()
    done = subprocess.run(
        [PYTHON, "-m", "lab", "rehearse", "prod", "--fault", "timeout:KubernetesCluster", "--output", "json"],
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
        "up with the fault timeout:KubernetesCluster",
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
    assert (ROOT / "Pulumi.prod.yaml").read_bytes() == before
    assert not list((Lab.from_environment().state / "rehearsals").glob("*"))


@pytest.fixture
def rehearsal(lab: dict[str, str]) -> Iterator[Rehearsal]:
    """An empty rehearsed stack; nothing of it is left behind."""
    stage = prepare(Lab.from_environment(), "prod")
    try:
        stage.clear()
        stage.pulumi("stack", "init")
        yield stage
    finally:
        stage.clear()
        assert stage.left() == []
        stage.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("quota:KubernetesCluster", "the account's limit is reached"),
        ("name-taken:ContainerRegistry", "the name is taken: somebody else has it"),
        ("expired", "the credentials have expired"),
    ],
)
def test_a_refusal_is_one_clear_sentence(rehearsal: Rehearsal, fault: str, said: str):
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra={FAULT_VARIABLE: fault})
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_missing_credentials_stop_before_anything_is_made(rehearsal: Rehearsal):
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra={"DIGITALOCEAN_ACCESS_TOKEN": ""})
    assert done.returncode != 0
    assert "there is no DigitalOcean API token; export DIGITALOCEAN_ACCESS_TOKEN" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert rehearsal.account.records() == []


def test_an_engine_killed_in_the_midst_leaves_no_duplicate(rehearsal: Rehearsal):
    """What was being made is in the account; the next `up` names it, an import takes it over, the rest goes on."""
    engine = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", "prod", "--non-interactive"],
        cwd=rehearsal.program,
        env=rehearsal.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: any(each.type == "DatabaseCluster" for each in rehearsal.account.records()))
    os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    rehearsal.pulumi("cancel", "--yes", check=False)  # the killed engine's lock

    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False)
    (database,) = [each for each in rehearsal.account.records() if each.type == "DatabaseCluster"]
    if done.returncode:
        assert f"the name is taken: the account has one, id {database.id}" in done.stdout
        state = json.loads(rehearsal.pulumi("stack", "export").stdout)["deployment"]["resources"]
        known = {each.get("id") for each in state}
        for each in [each for each in rehearsal.account.records() if each.id not in known]:
            rehearsal.take_over(f"digitalocean:index/{each.type[0].lower()}{each.type[1:]}:{each.type}", each.id)
        rehearsal.pulumi("up", "--yes", "--skip-preview")
    kinds = [each.type for each in rehearsal.account.records()]
    assert sorted(kinds) == sorted(set(kinds)), "something was made twice"
    rehearsal.pulumi("preview", "--expect-no-changes")
    the_database_is_guarded(rehearsal)


def the_database_is_guarded(rehearsal: Rehearsal) -> None:
    """Another authority's certificate is refused by the service; this machine, which is no pod, by the firewall."""
    pod = ("exec", "-n", rehearsal.namespace, "deployment/addressbook-stable", "--")
    assert rehearsal.kubectl(*pod, "addressbook", "ping").returncode == 0
    other = Authority(rehearsal.folder / "another-authority")
    other.ensure()
    refused = rehearsal.kubectl(*pod, "env", f"DB_CA={other.certificate.read_text()}", "addressbook", "ping")
    assert refused.returncode != 0
    assert "certificate" in (refused.stdout + refused.stderr).lower()

    (database,) = [each for each in rehearsal.account.records() if each.type == "DatabaseCluster"]
    outside = subprocess.run(["psql", "-c", "select 1", database.outputs["uri"]], capture_output=True, text=True)
    assert "no pg_hba.conf entry" in outside.stderr


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
