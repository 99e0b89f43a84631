"""One issue for a stack that has drifted: opened once, updated, closed when the drift is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from tests.unit.pipeline.simulated_github import SimulatedHub

SCALED = {"between": "deployed and cluster", "what": "`a` is hush", "remedy": "`up` reverts it", "summary": "`a`"}
EDITED = {"between": "git and file", "what": "Pulumi.prod.yaml is not in Git", "remedy": "`git add` it", "summary": ""}


def report(folder: Path, *drift: dict[str, str], stack: str = "prod", **fields: Any) -> int:
    status = {"stack": stack, "cluster": {"reachable": True}, "drift": drift, **fields}
    (folder / "status.json").write_text(json.dumps(status))
    return main(["drift", "--stack", stack, "--status", str(folder / "status.json")])


def issues(hub: SimulatedHub) -> list[tuple[str, str]]:
    return [(each["title"], each.get("state", "open")) for each in hub.entries if each["path"] == "issues"]


def test_drift_has_one_issue_until_it_is_gone(hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert report(tmp_path) == 0
    assert hub.entries == []
    for _ in range(3):  # three days
        assert report(tmp_path, SCALED) == 0
    assert issues(hub) == [("Stack prod has drifted", "open")]
    assert "nothing new" in capsys.readouterr().out
    assert report(tmp_path, SCALED, EDITED) == 0
    (body,) = hub.bodies
    assert all((each["summary"] or each["what"]) in body and each["remedy"] in body for each in (SCALED, EDITED))
    assert "hush" not in body, "values may be secrets"
    assert report(tmp_path, SCALED, stack="staging") == 0
    assert report(tmp_path) == 0
    assert issues(hub) == [("Stack prod has drifted", "closed"), ("Stack staging has drifted", "open")]
    assert "The drift is gone." in hub.bodies
    assert report(tmp_path, SCALED) == 0
    assert len(issues(hub)) == 3, "new drift is a new issue"


def test_issues_of_others_are_left_alone(hub: SimulatedHub, tmp_path: Path):
    title = "Stack prod has drifted"
    mine = {
        "path": "issues",
        "title": title,
        "body": "",
        "number": 1,
        "id": 1,
        "user": {"login": "github-actions[bot]"},
    }
    hub.set(
        [
            {**mine, "user": {"login": "ada"}, "body": "one\u0085line"},
            {**mine, "id": 2, "number": 2, "pull_request": {}},
        ]
    )
    report(tmp_path)
    assert [state for _, state in issues(hub)] == ["open", "open"]
    report(tmp_path, SCALED)
    assert len(issues(hub)) == 3


@pytest.mark.parametrize(
    "fields",
    [{"error": "no such stack"}, {"cluster": {"reachable": False}}, {"cluster": {"reachable": False}, "drift": []}],
)
def test_what_could_not_be_compared_changes_no_issue(
    hub: SimulatedHub, tmp_path: Path, fields: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    report(tmp_path, SCALED)
    before = hub.entries
    assert report(tmp_path, **fields) == 1
    assert "stack `prod` could not be compared" in capsys.readouterr().err
    assert hub.entries == before
