"""Updates and commits in one timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contract.image import digest_of
from promotion.operations.timeline import timeline, timeline_json, timeline_text
from promotion.state.git import Commit
from promotion.state.history import Change, Release, Update

A, B = (f"registry/addressbook@sha256:{digit * 64}" for digit in "ab")
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def update(number: int, *changes: Change, kind: str = "update", result: str = "succeeded") -> Update:
    time = BEGAN + timedelta(hours=number)
    message = f"message {number}\nand more"
    return Update(number, time, kind, message, result, "Ada", "f" * 40, True, {"secret": "x"}, changes)


UPDATES = [
    update(3, Change("stableImage", A, B), Change("memoryLimit", "256Mi", "1Gi"), result="failed"),
    update(2, kind="refresh"),
    update(1, Change("stableImage", "", A)),
]
COMMITS = [
    Commit("c" * 40, BEGAN + timedelta(hours=2), "Grace", "canary", [Change("canaryReplicas", "0", "1")]),
]
RELEASES = [
    Release(2, BEGAN, B, "promote", "failed", (3,)),
    Release(1, BEGAN, "", "first", "succeeded", (1,)),
]


def test_entries_by_time_without_refreshes():
    assert timeline(UPDATES, COMMITS) == [UPDATES[0], COMMITS[0], UPDATES[2]]


def test_text_for_people():
    lines = timeline_text("dev", timeline(UPDATES, COMMITS), RELEASES).splitlines()
    assert lines[1] == "*   2  2026-01-01 12:00  sha256:bbbbbbbbbbbb, failed  promote"
    assert lines[2] == "    1  2026-01-01 12:00  (built from source, never pinned)  first"
    assert lines[5:9] == [
        "2026-01-01 15:00  update 3 failed: message 3",
        "                   from commit ffffffffff of Ada, with uncommitted changes",
        "                   stableImage: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb",
        "                   other keys: memoryLimit",
    ]
    assert lines[9] == "2026-01-01 14:00  commit cccccccccc of Grace: canary"
    assert "stableImage: (unset) -> sha256:aaaaaaaaaaaa" in lines[-1]


def test_json_for_scripts_without_the_whole_config():
    answer = timeline_json("dev", timeline(UPDATES, COMMITS), RELEASES)
    assert [move["kind"] for move in answer["moves"]] == ["update", "commit", "update"]
    assert answer["moves"][0]["changes"][0] == {"key": "stableImage", "before": A, "after": B}
    assert all("config" not in move for move in answer["moves"])
    assert answer["releases"][0]["digest"] == digest_of(B)
    assert answer["releases"][1]["digest"] == ""


def test_an_empty_timeline():
    assert "stack `dev` has no updates" in timeline_text("dev", [], [])


def test_an_incomplete_history_says_so():
    entries = timeline(UPDATES, COMMITS)
    assert "this clone is shallow" in timeline_text("dev", entries, RELEASES, complete=False).splitlines()[-1]
    assert "this clone is shallow" in timeline_text("dev", [], [], complete=False)
    assert "shallow" not in timeline_text("dev", entries, RELEASES)
    assert timeline_json("dev", entries, RELEASES, complete=False)["complete"] is False
