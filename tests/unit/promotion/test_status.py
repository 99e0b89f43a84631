"""The status: what was served, and how it reads."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from promotion.state.cluster.metrics import Counters
from promotion.state.history import Update
from promotion.state.stack_state import DeployedTrack, StackState
from promotion.state.verdict_record import VerdictRecord
from promotion.status.drift import Drift
from promotion.status.live import LiveTrack, Served
from promotion.status.status import Status, at_work, status_json
from promotion.status.table import status_text

A, B = (f"registry/addressbook@sha256:{digit * 64}" for digit in "ab")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUS = Status(
    stack="dev",
    outputs={"url": "http://203.0.113.7", "namespace": "addressbook", "traffic": "split"},
    standing=StackState(
        {"stable": DeployedTrack(A, 2), "canary": DeployedTrack(B, 1)}, frozenset({"stable", "canary"})
    ),
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


def test_without_requests_there_are_no_shares_and_no_times():
    assert Served.of(Counters()) == Served(0, None, None, None)


def test_the_table_has_stable_first_and_says_what_the_figures_cover():
    lines = status_text(STATUS).splitlines()
    stable, canary = lines[4].split(), lines[5].split()
    assert " ".join(stable) == "stable sha256:aaaaaaaaaaaa eeeeeeeeee 2/2 100 % 250 0.40 % 1.2 ms 7.5 ms"
    assert canary[:6] == ["canary", "sha256:bbbbbbbbbbbb", "ffffffffff-dirty", "0/1", "(of", "2)"]
    assert "since the pods started" in lines[6]
    assert "canary: pod a does not answer" in lines
    assert any(line.startswith("verdict   unhealthy for sha256:bbbbbbbbbbbb") for line in lines)
    assert lines[-1] == "drift     none: Git, the stack file, what was deployed and the cluster agree"
    assert "in the last 5 s" in status_text(replace(STATUS, window=5.0))


def test_drift_is_sentences_by_where_it_is():
    drift = [
        Drift("git and file", "edited", "commit it"),
        Drift("deployed and cluster", "scaled", "up takes it back"),
    ]
    lines = status_text(replace(STATUS, drift=drift)).splitlines()
    assert lines[lines.index("  between Git and the stack file:") + 1] == "  - edited; commit it"
    assert lines[lines.index("  between what was deployed and the cluster:") + 1] == "  - scaled; up takes it back"


def test_without_the_cluster_the_state_speaks():
    text = status_text(replace(STATUS, live=None, unreachable="the cluster does not answer"))
    assert "The cluster cannot be asked: the cluster does not answer" in text
    assert "stable  sha256:aaaaaaaaaaaa  2" in text
    answer = status_json(replace(STATUS, live=None, unreachable="gone"))
    assert answer["cluster"] == {"reachable": False, "reason": "gone"}
    assert answer["tracks"]["canary"] == {"digest": B.partition("@")[2], "image": B, "replicas": 1}


def test_json_has_whole_digests_and_figures():
    answer = status_json(STATUS)
    assert answer["tracks"]["stable"]["digest"] == A.partition("@")[2]
    assert answer["tracks"]["stable"]["served"]["requests"] == 250
    assert answer["tracks"]["canary"]["served"] is None
    assert answer["verdict"]["result"] == "unhealthy"
    assert answer["lastUpdate"]["message"] == "canary: sha256:bb"


def test_an_update_that_was_cut_off_is_told():
    cut = replace(STATUS, standing=replace(STATUS.standing, interrupted=("urn:pulumi:x",)))
    assert "cut off" in status_text(cut)
    assert status_json(cut)["interrupted"] == ["urn:pulumi:x"]


def test_who_is_at_work(tmp_path: Path):
    lock = tmp_path / "dev.lock"
    assert at_work(lock) == ""
    for process, seen in ((os.getpid(), True), (2**22 + 1, False)):  # beyond Linux' largest process id
        lock.write_text(f"`promote` of ada on {socket.gethostname()} (process {process}, since 2026-01-01T12:00:00Z)")
        assert bool(at_work(lock)) is seen
    lock.write_text("`promote` of ada on elsewhere (process 1, since 2026-01-01T12:00:00Z)")
    assert at_work(lock)
    lock.write_text("")
    assert at_work(lock) == ""
