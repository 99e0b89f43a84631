"""Which pull requests get an environment, and what happens to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.environment import LABEL, environment, section
from pipeline.errors import UsageError
from pipeline.touched import IN_USE


def pull_request(action: str, *labels: str, changed: str = "", **fields: Any) -> dict[str, Any]:
    """Return an event of pull request 7, as GitHub describes it; it has the label unless others are given."""
    names = labels or (() if action == "unlabeled" and changed == LABEL else (LABEL,))
    pull = {
        "state": "open",
        "labels": [{"name": name} for name in names],
        "user": {"login": "ada"},
        "head": {"repo": {"full_name": "owner/name"}},
    }
    event = {"action": action, "number": 7, "repository": {"full_name": "owner/name"}, "pull_request": pull | fields}
    return {**event, "label": {"name": changed}} if changed else event


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, lines in {
        "trunk": "",
        "shared": "  addressbook:platformStack: team/addressbook/prod\n",
        "prod": "",
    }.items():
        (tmp_path / f"Pulumi.{name}.yaml").write_text(f"config:\n  addressbook:cloud: gcp\n{lines}")
    (tmp_path / ".github").mkdir()
    use(tmp_path, "trunk")
    return tmp_path


def use(root: Path, environments: str) -> None:
    (root / IN_USE).write_text(f"staging: [shared]\nproduction: [prod]\nenvironments: {environments}\n")


@pytest.mark.parametrize(
    ("event", "action"),
    [
        (pull_request("opened"), "up"),
        (pull_request("reopened"), "up"),
        (pull_request("synchronize"), "up"),
        (pull_request("labeled", changed=LABEL), "up"),
        (pull_request("labeled", changed="bug"), "none"),
        (pull_request("synchronize", "bug"), "none"),
        (pull_request("unlabeled", changed=LABEL), "remove"),
        (pull_request("unlabeled", changed="bug"), "none"),
        (pull_request("closed", state="closed"), "remove"),
        (pull_request("labeled", changed=LABEL, state="closed"), "remove"),
        (pull_request("closed", "bug", state="closed"), "none"),
        (pull_request("labeled", changed=LABEL, head={"repo": {"full_name": "stranger/name"}}), "none"),
        (pull_request("labeled", changed=LABEL, head={"repo": None}), "none"),
        (pull_request("opened", user={"login": "dependabot[bot]"}), "none"),
    ],
)
def test_the_label_decides_and_forks_get_none(root: Path, event: dict[str, Any], action: str):
    found = environment(event, root)
    assert found.action == action
    expected = ("", "", "") if action == "none" else ("pr-7", "trunk", "gcp")
    assert (found.name, found.platform, found.cloud) == expected
    assert bool(found.reason) == (action == "none"), "nothing is skipped without a sentence"


def test_without_a_platform_there_is_a_sentence(root: Path):
    use(root, "")
    found = environment(pull_request("opened"), root)
    assert (found.action, "names no stack for `environments`" in found.reason) == ("none", True)


@pytest.mark.parametrize(
    ("name", "why"),
    [("prod", "platform of `prod`"), ("shared", "platform of `prod`"), ("gone", "there is no Pulumi.gone.yaml")],
)
def test_unreviewed_code_stays_off_production(root: Path, name: str, why: str):
    use(root, name)
    with pytest.raises(UsageError, match=re.escape(why)):
        environment(pull_request("opened"), root)


@pytest.mark.parametrize("event", [{}, {"pull_request": None, "number": 1, "action": "x"}, {"action": "push"}])
def test_other_events_are_refused(root: Path, event: dict[str, Any]):
    with pytest.raises(UsageError, match="not the event of a pull request"):
        environment(event, root)


def test_the_section_says_where_and_how_long():
    first, text = section("trunk", "http://203.0.113.7", "2026-12-03T15:00Z").splitlines()
    assert first == "<!-- environment of trunk -->"
    assert "http://203.0.113.7 until 2026-12-03 15:00 UTC" in text
    assert "While the pull request is open, adding the label" in section("trunk", "", "")
