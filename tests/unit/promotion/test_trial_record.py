"""The record of a trial: private, replaced by the next trial, and never in the way."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from promotion.state.stack_file import StackFile
from promotion.state.trial_record import TrialRecorder, read_record, record_file

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "ab")


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    return StackFile(tmp_path / "Pulumi.dev.yaml")


def test_without_a_trial_there_is_no_record(file: StackFile):
    assert read_record(file) is None


def test_a_record_holds_looks_and_verdict_for_its_owner(file: StackFile):
    recorder = TrialRecorder(file)
    recorder.look(ONE, {"seconds": 1.0})
    recorder.look(ONE, {"seconds": 2.0, "line": "zwei\ud800"})
    recorder.verdict({"result": "healthy"})
    trial = read_record(file)
    assert trial is not None
    assert (trial.digest, [look["seconds"] for look in trial.looks]) == (ONE, [1.0, 2.0])
    assert (trial.verdict, trial.rollback) == ({"result": "healthy"}, None)
    assert stat.S_IMODE(record_file(file).stat().st_mode) == 0o600


def test_another_trial_replaces_the_record(file: StackFile):
    for seconds in (1.0, 2.0):
        TrialRecorder(file).look(ONE, {"seconds": seconds})
    trial = read_record(file)
    assert trial is not None
    assert [look["seconds"] for look in trial.looks] == [2.0]


@pytest.mark.parametrize(("tried", "looks"), [(ONE, 1), (OTHER, 0)])
def test_a_rollback_belongs_to_its_own_canary(file: StackFile, tried: str, looks: int):
    TrialRecorder(file).look(tried, {"seconds": 1.0})
    TrialRecorder(file).rollback(ONE, "the canary is unhealthy", "it crashes")
    trial = read_record(file)
    assert trial is not None and trial.rollback is not None
    assert (trial.digest, len(trial.looks)) == (ONE, looks)
    assert (trial.rollback["why"], trial.rollback["diagnosis"]) == ("the canary is unhealthy", "it crashes")


@pytest.mark.parametrize("rest", ["", '{"look": {"sec', "\x00\xff", "[]", "3"])
def test_a_broken_line_hides_no_other(file: StackFile, rest: str):
    TrialRecorder(file).look(ONE, {"seconds": 1.0})
    with record_file(file).open("a") as record:
        record.write(rest)
    trial = read_record(file)
    assert trial is not None
    assert len(trial.looks) == 1


@pytest.mark.parametrize("look", [{"seconds": 1.0}, {"unwritable": object()}])
def test_a_record_that_cannot_be_written_stops_nothing(tmp_path: Path, look: dict[str, Any]):
    (tmp_path / ".promotion").write_text("no folder")
    recorder = TrialRecorder(StackFile(tmp_path / "Pulumi.dev.yaml"))
    recorder.look(ONE, look)
    recorder.verdict({})
    recorder.rollback(ONE, "why", "diagnosis")
    assert read_record(recorder.file) is None


def test_a_link_in_place_of_the_record_is_not_followed(file: StackFile, tmp_path: Path):
    TrialRecorder(file).look(ONE, {"seconds": 1.0})
    target = tmp_path / "target"
    target.write_text("")
    record_file(file).unlink()
    record_file(file).symlink_to(target)
    TrialRecorder(file).verdict({"result": "healthy"})
    assert target.read_text() == ""
