"""The document of a page: where a release stands, what to run next, and what is read again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.judging import RequestMetrics
from promotion import cli
from promotion.errors import CommandError
from promotion.page import document as documents
from promotion.page.document import StackReader, changed_lines, stack_document
from promotion.page.trial import SHOWN_LOOKS, trial_document
from promotion.state.stack_file import StackFile
from promotion.state.trial_record import RecordedTrial, TrialRecorder
from promotion.status.status import status_json
from tests.unit.promotion.page.states import (
    ALONE,
    AT_WORK,
    BOTH,
    DIGEST,
    NEW,
    NOW,
    STATES,
    judged,
    moves,
    observations,
    recorded,
    status,
)

STAGES = {
    "no-canary": ("no canary", "release"),
    "trial-running": ("trial running", "rollback"),
    "inconclusive": ("inconclusive", "verdict"),
    "unhealthy": ("unhealthy", "diagnose"),
    "rolled-back": ("rolled back", "release"),
    "promoted": ("promoted", "release"),
    "unreachable": ("unreachable", "status"),
}


@pytest.mark.parametrize("state", STAGES)
def test_each_state_has_its_stage_and_next_command(state: str):
    [stack] = STATES[state]()
    stage, command = STAGES[state]
    assert stack["stage"] == stage
    assert stack["next"][0]["command"].startswith(f"python -m promotion {command} --stack prod")


@pytest.mark.parametrize(
    ("result", "stage", "command"),
    [("", "not judged", "verdict"), ("healthy", "healthy", "promote"), ("unhealthy", "unhealthy", "rollback")],
)
def test_a_canary_stands_by_its_verdict(result: str, stage: str, command: str):
    stack = stack_document(status_json(replace(BOTH, verdict=judged(result) if result else None)), None)
    assert (stack["stage"], stack["next"][0]["command"].split()[3]) == (stage, command)


def test_a_verdict_on_another_image_is_not_the_canarys():
    other = replace(BOTH, verdict=replace(judged("healthy"), digest=f"sha256:{'9' * 64}"))
    assert stack_document(status_json(other), None)["stage"] == "not judged"


def test_a_command_at_work_is_no_failure():
    rolling = replace(status(stable=replace(ALONE, ready=1)), at_work="`promotion up` of ada")
    assert stack_document(status_json(rolling), None)["stage"] == "at work"


@pytest.mark.parametrize("state", STATES)
def test_every_next_command_is_one_that_exists(state: str):
    for stack in STATES[state]():
        for step in stack["next"]:
            words = step["command"].split()
            assert words[:3] == ["python", "-m", "promotion"]
            cli._parser().parse_args(words[3:])  # pyright: ignore[reportPrivateUsage]


def test_a_trial_without_its_command_is_interrupted():
    assert trial_document(recorded(3), running=True)["running"] is True
    assert trial_document(recorded(3), running=False)["running"] is False
    assert trial_document(recorded(3, "healthy"), running=True)["running"] is False


def test_a_long_trial_is_thinned_and_keeps_its_last_look():
    looks = [each.as_json() for each in observations(3 * SHOWN_LOOKS)]
    shown = trial_document(RecordedTrial(DIGEST, looks), running=True)["looks"]
    assert len(shown) == SHOWN_LOOKS
    assert shown[-1]["seconds"] == looks[-1]["seconds"]


def test_a_remark_at_the_same_moment_is_no_look():
    looks = [each.as_json() for each in observations(4)]
    remark = {**looks[-1], "line": "a longer trial cannot help", "tracks": looks[0]["tracks"]}
    trial = trial_document(RecordedTrial(DIGEST, [*looks, remark]), running=True)
    assert trial["line"] == "a longer trial cannot help"
    assert [look["canary"]["requests"] > 0 for look in trial["looks"]] == [True] * 4


def test_ranges_of_a_check_narrow_over_the_looks():
    errors = next(each for each in trial_document(recorded(18), running=True)["checks"] if each["name"] == "errors")
    widths = [each["upper"] - each["lower"] for each in errors["estimates"] if each["upper"] is not None]
    assert widths == sorted(widths, reverse=True)


def test_the_timeline_names_the_author_git_does_not_know():
    stack = stack_document(status_json(BOTH), None, (), moves())
    assert stack["authors"]["canary"] == "Ada Lovelace"


def test_a_public_page_hides_values_of_the_service():
    move = moves()["moves"][0]
    shown = {each.key: each.after for each in changed_lines(move, public=False)}
    assert shown["environment.LOG_LEVEL"] == "debug"
    public = {each.key: each.after for each in changed_lines(move, public=True)}
    assert public["environment.LOG_LEVEL"] == ""
    assert public["canaryImage"] == shown["canaryImage"]


class FakeObserver:
    """Answers with the next status, or raises it; the last one stays."""

    cluster = object()

    def __init__(self, *statuses: Any) -> None:
        self.statuses = list(statuses)

    def look(self) -> Any:
        now = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(now, CommandError):
            raise now
        return now


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each reading of the history and each diagnosis."""
    notes: list[str] = []
    monkeypatch.setattr(documents.history, "updates", lambda _: notes.append("history") or [])
    monkeypatch.setattr("promotion.diagnosis.diagnose.diagnose", lambda _: notes.append("diagnosis") or [])
    return notes


def reader(folder: Path, *statuses: Any) -> StackReader:
    """Return a reader of a stack with these statuses."""
    path = folder / "Pulumi.prod.yaml"
    path.write_text("config: {}\n")
    made = StackReader(cast(Any, SimpleNamespace(name="prod")), StackFile(path), RequestMetrics())
    made._observer = cast(Any, FakeObserver(*statuses))  # pyright: ignore[reportPrivateUsage]
    return made


def test_the_status_is_the_one_that_scripts_get(tmp_path: Path, read: list[str]):
    assert reader(tmp_path, BOTH).read()["status"] == status_json(BOTH)


def test_the_history_is_read_again_after_an_update(tmp_path: Path, read: list[str]):
    assert BOTH.last
    later = replace(BOTH, last=replace(BOTH.last, time=NOW))
    made = reader(tmp_path, BOTH, BOTH, later)
    counts = [read.count("history") for _ in range(3) if made.read()]
    assert counts == [1, 1, 2]


def test_what_is_missing_is_diagnosed_at_every_look(tmp_path: Path, read: list[str]):
    broken = replace(status(stable=replace(ALONE, ready=0)))
    made = reader(tmp_path, BOTH, BOTH, broken, broken)
    counts = [read.count("diagnosis") for _ in range(4) if made.read()]
    assert counts == [1, 1, 2, 3]


def test_an_unreadable_stack_says_why_and_recovers(tmp_path: Path, read: list[str]):
    made = reader(tmp_path, CommandError("stack `prod` runs nothing"), BOTH)
    first, second = made.read(), made.read()
    assert (first["stage"], first["headline"]) == ("unreadable", "Stack `prod` runs nothing")
    assert second["stage"] == "not judged"


def test_a_look_of_the_trial_needs_no_new_status(tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "checkout_lock_holder", lambda _: "`promotion release` of ada")
    made = reader(tmp_path, AT_WORK, CommandError("it was asked again"))
    assert made.read()["trial"] is None
    before = made.trial_changed
    recorder = TrialRecorder(made._file)  # pyright: ignore[reportPrivateUsage]
    for look in observations(3):
        recorder.look(NEW.partition("@")[2], look.as_json())
    os.utime(tmp_path / ".promotion" / "prod.trial.jsonl", (1, 1))
    assert made.trial_changed != before
    shown = made.read_trial()
    assert (shown["stage"], len(shown["trial"]["looks"])) == ("trial running", 3)
