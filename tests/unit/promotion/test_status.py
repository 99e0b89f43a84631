"""The status as text and as JSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.judging import RequestMetrics
from promotion.state.cluster.counters import Counters
from promotion.state.history import Update
from promotion.state.stack_file import StackFile
from promotion.state.stack_state import DeployedTrack, StackState
from promotion.state.verdict_record import VerdictRecord
from promotion.status.drift import Drift
from promotion.status.live import LiveTrack, Meter, Served, live_tracks
from promotion.status.status import Observer, Status, status_json
from promotion.status.table import next_commands, outputs_text, status_text

A, B = (f"registry/addressbook@sha256:{digit * 64}" for digit in "ab")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUS = Status(
    stack="dev",
    outputs={"url": "http://203.0.113.7", "namespace": "addressbook", "traffic": "split"},
    state=StackState({"stable": DeployedTrack(A, 2), "canary": DeployedTrack(B, 1)}, frozenset({"stable", "canary"})),
    live={
        "canary": LiveTrack(B, 1, 0, 2, 0.0, "f" * 40 + "-dirty", None, "pod a does not answer"),
        "stable": LiveTrack(A, 2, 2, 2, 100.0, "e" * 40, Served(250, 0.4, 1.25, 7.5)),
    },
    unreachable="",
    window=None,
    verdict=VerdictRecord.parse(f"unhealthy {B.partition('@')[2]} 2026-01-01T11:00:00Z"),
    last=Update(7, NOW, "update", "canary: sha256:bb", "succeeded", "Ada", "e" * 40, False, {}),
    at_work="",
    taken=NOW,
)


def test_without_requests_there_are_no_figures():
    assert Served.of(Counters()) == Served(0, None, None, None)


def test_the_table_shows_stable_first():
    lines = status_text(STATUS).splitlines()
    assert lines[2] == "page      `python -m promotion dashboard --stack dev` shows it in the browser"
    stable, canary = lines[5].split(), lines[6].split()
    assert " ".join(stable) == "stable sha256:aaaaaaaaaaaa eeeeeeeeee 2/2 100 % 250 0.40 % 1.2 ms 7.5 ms"
    assert canary[:6] == ["canary", "sha256:bbbbbbbbbbbb", "ffffffffff-dirty", "0/1", "(of", "2)"]
    assert "since the pods started" in lines[7]
    assert "canary: pod a does not answer" in lines
    assert any(line.startswith("verdict   unhealthy for sha256:bbbbbbbbbbbb") for line in lines)
    assert lines[-1] == "drift     none: Git, stack file, last deployment and cluster agree"
    assert "in the last 5 s" in status_text(replace(STATUS, window=5.0))


def test_drift_is_grouped_by_place():
    drift = [
        Drift("git and file", "edited", "commit it"),
        Drift("deployed and cluster", "scaled", "up reverts it"),
    ]
    lines = status_text(replace(STATUS, drift=drift)).splitlines()
    assert lines[lines.index("  between Git and the stack file:") + 1] == "  - edited; commit it"
    assert lines[lines.index("  between the last deployment and the cluster:") + 1] == "  - scaled; up reverts it"


def test_without_the_cluster_the_state_is_shown():
    text = status_text(replace(STATUS, live=None, unreachable="the cluster does not answer"))
    assert "The cluster cannot be reached: the cluster does not answer" in text
    assert "stable  sha256:aaaaaaaaaaaa  2" in text
    answer = status_json(replace(STATUS, live=None, unreachable="gone"))
    assert answer["cluster"] == {"reachable": False, "reason": "gone"}
    assert answer["tracks"]["canary"] == {"digest": B.partition("@")[2], "image": B, "replicas": 1}


def test_status_shows_the_rest_when_git_fails():
    status = replace(STATUS, uncompared="Git refuses to read /srv")
    lines = status_text(status).splitlines()
    assert "warning   Git and the stack file are not compared: Git refuses to read /srv" in lines
    assert lines[-1] == "drift     none: stack file, last deployment and cluster agree"
    assert status_json(status)["uncompared"] == "Git refuses to read /srv"
    assert status_json(STATUS)["uncompared"] is None


def test_a_failing_git_does_not_end_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".git").mkdir()
    file = StackFile(tmp_path / "Pulumi.dev.yaml")
    file.path.write_text("config: {}\n")
    resources = {"resources": [{"type": "pulumi:pulumi:Stack", "urn": "urn", "outputs": {}}]}
    monkeypatch.setattr("promotion.state.engine.exported", lambda _: resources)
    monkeypatch.setattr("promotion.state.history.updates", lambda *_: [])
    status = Observer(
        cast(Any, SimpleNamespace(name="dev", outputs=dict[str, Any])), file, Meter(True, RequestMetrics())
    ).look()
    assert "`git " in status.uncompared
    assert status.live is None, "it went on to the cluster"


def test_json_has_full_digests_and_figures():
    answer = status_json(STATUS)
    assert answer["tracks"]["stable"]["digest"] == A.partition("@")[2]
    assert answer["tracks"]["stable"]["served"]["requests"] == 250
    assert answer["tracks"]["canary"]["served"] is None
    assert answer["verdict"]["result"] == "unhealthy"
    assert answer["lastUpdate"]["message"] == "canary: sha256:bb"


def test_an_interrupted_update_is_shown():
    status = replace(STATUS, state=replace(STATUS.state, interrupted=("urn:pulumi:x",)))
    assert "an update was interrupted with 1 resources in progress" in status_text(status)
    assert status_json(status)["interrupted"] == ["urn:pulumi:x"]


def test_a_working_command_is_shown():
    assert "at work   `promote` of ada" in status_text(replace(STATUS, at_work="`promote` of ada"))


OUTPUTS = {
    "url": "http://203.0.113.7",
    "namespace": "addressbook",
    "traffic": "split",
    "tracks": {
        "canary": {"image": "registry/addressbook@sha256:cc", "replicas": 1, "share": 33.3},
        "stable": {"image": "registry/addressbook@sha256:aa", "replicas": 2, "share": 66.7},
    },
}


@pytest.mark.parametrize(("weights", "shares"), [({}, [100.0, 0.0]), ({"stable": 99.0, "canary": 1.0}, [99.0, 1.0])])
def test_the_share_of_users_is_the_gateways_weight(weights: dict[str, float], shares: list[float]):
    """An unready canary gets no users from a Service, and its weight from a Gateway."""
    cluster = SimpleNamespace(
        pods=lambda track: [SimpleNamespace(ready=track == "stable", document={}, image=A, running=False)],
        public_selector=dict[str, str],
        deployment=lambda _: SimpleNamespace(image=A, replicas=1),
    )
    live = live_tracks(cast(Any, cluster), Meter(True, RequestMetrics()), weights)
    assert [live["stable"].share, live["canary"].share] == shares


def test_outputs_show_stable_first():
    lines = outputs_text("dev", OUTPUTS).splitlines()
    assert lines[1] == "address   http://203.0.113.7"
    assert lines[-2].split() == ["stable", "2", "66.7%", "registry/addressbook@sha256:aa"]
    assert lines[-1].split() == ["canary", "1", "33.3%", "registry/addressbook@sha256:cc"]


def test_next_commands_use_the_address_and_the_stack():
    text = next_commands("staging", OUTPUTS)
    assert "http://203.0.113.7/person" in text
    assert "make canary STACK=staging" in text
