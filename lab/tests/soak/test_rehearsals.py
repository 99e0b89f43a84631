"""Production stacks on simulated clouds: whole lives, killed engines and refusals."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from lab.certificates import Authority
from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE
from lab.rehearsal import Rehearsal, alone, prepare, simulated_cloud
from lab.rehearse import IMPORT_COMMAND
from lab.tests.rehearsed import CLOUDS, Cloud, rehearse_restore, rehearse_whole_life
from lab.tests.soak.killed_engine import (
    import_interrupted,
    kill_engine_during,
    pending,
    records_missing_from,
)
from promotion.state.stack_state import KUBERNETES


@pytest.mark.parametrize("name", CLOUDS)
def test_each_fault_of_a_first_day_is_overcome(lab: dict[str, str], name: str):
    rehearse_whole_life(CLOUDS[name], first_day=True)


@pytest.mark.parametrize("name", CLOUDS)
def test_a_lost_database_is_restored_from_its_backup(lab: dict[str, str], name: str):
    rehearse_restore(CLOUDS[name])


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return CLOUDS[request.param]


@pytest.fixture
def rehearsal(lab: dict[str, str], cloud: Cloud) -> Iterator[Rehearsal]:
    """An empty rehearsed stack."""
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


def test_up_continues_after_a_killed_engine_and_refusals(rehearsal: Rehearsal, cloud: Cloud):
    """Whatever stops an `up` is explained in a sentence; nothing is lost and nothing is created twice."""
    assert_refused(rehearsal, cloud.no_login, cloud.no_login_message)
    assert_refused(rehearsal, {FAULT_VARIABLE: "expired"}, cloud.expired_message)
    for fault, message in cloud.refusals.items():
        assert_refused(rehearsal, {FAULT_VARIABLE: fault}, message)
    assert rehearsal.account.records() == [], "created before it was refused"

    kill_engine_during(rehearsal, cloud.interrupted)
    started = ids(rehearsal)
    assert_interrupted_resources_are_named(rehearsal, cloud)
    if cloud.refuses_duplicates:
        assert_duplicate_is_refused(rehearsal, cloud.interrupted, started)
    import_interrupted(rehearsal)
    assert started <= ids(rehearsal)
    assert_state_is_complete(rehearsal)

    for error, message in (
        (f"quota:{cloud.late}", "the account's limit is reached"),
        (f"name-taken:{cloud.late}", "the name is taken: it belongs to another account"),
        ("expired", cloud.expired_message),
    ):
        created = ids(rehearsal)
        assert_refused(rehearsal, {FAULT_VARIABLE: error}, message)
        assert created <= ids(rehearsal)
        assert_state_is_complete(rehearsal)

    created = ids(rehearsal)
    rehearsal.pulumi("up", "--yes", "--skip-preview")
    assert created < ids(rehearsal)
    assert_state_is_complete(rehearsal)
    rehearsal.configure("buildFromSource", "always")  # `first` would refuse to build in this preview
    rehearsal.pulumi("preview", "--expect-no-changes")
    assert_database_is_guarded(rehearsal, cloud)


def assert_refused(rehearsal: Rehearsal, environment: Mapping[str, str], message: str) -> None:
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra=environment)
    assert done.returncode != 0
    assert message in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def ids(rehearsal: Rehearsal) -> set[tuple[str, str]]:
    """Return type and id of each resource in the account; different types may share an id."""
    return {(each.type, each.id) for each in rehearsal.account.records()}


def assert_state_is_complete(rehearsal: Rehearsal) -> None:
    """Check that the state knows everything in the account, so nothing was created twice, and nothing is pending."""
    state = rehearsal.state()
    assert records_missing_from(state, rehearsal.account) == [], "created twice"
    assert state.get("pending_operations", []) == []


def assert_interrupted_resources_are_named(rehearsal: Rehearsal, cloud: Cloud) -> None:
    """Check that `promotion up` names each interrupted resource with its import command, and creates nothing."""
    interrupted = pending(rehearsal)
    assert cloud.interrupted in {each["type"].rpartition(":")[2] for each in interrupted}
    before = rehearsal.account.records()
    done = rehearsal.run(sys.executable, "-m", "promotion", "up", "--stack", cloud.stack)
    assert done.returncode == 1, done.stdout + done.stderr
    for each in interrupted:
        kind, name = each["type"], each["urn"].rpartition("::")[2]
        assert f"{kind.rpartition(':')[2]} {name}" in done.stderr
        known = r"\S+" if kind.startswith(KUBERNETES) else "ID"
        assert re.search(rf"`pulumi import {re.escape(kind)} {name} {known} --parent=", done.stderr), done.stderr
    for words in ("was interrupted", "`pulumi refresh --clear-pending-creates`", "repeat this command"):
        assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert rehearsal.account.records() == before


def assert_duplicate_is_refused(rehearsal: Rehearsal, kind: str, started: set[tuple[str, str]]) -> None:
    """Check that `pulumi up` warns of the interrupted resource, and that the cloud refuses a second one by name."""
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False)
    assert done.returncode != 0
    assert re.search(rf"urn:\S+:{kind}::\S+, interrupted while creating", done.stdout)
    # If several resources were interrupted, the first refusal ends the update: it may be any of them.
    named = {(found["type"].rpartition(":")[2], found["id"]) for found in IMPORT_COMMAND.finditer(done.stdout)}
    assert named
    assert named <= started
    assert dict(named).keys() <= {each["type"].rpartition(":")[2] for each in pending(rehearsal)}


def assert_database_is_guarded(rehearsal: Rehearsal, cloud: Cloud) -> None:
    """Check that the service refuses another CA's certificate, and the server refuses outsiders and plain text."""
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
