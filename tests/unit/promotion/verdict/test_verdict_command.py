"""What the verdict command takes, and what it refuses."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from promotion.commands.verdict import CODES, own_commands, seconds, try_canary
from promotion.errors import WRONG_USE, CommandError
from promotion.operations.work import Work
from promotion.state.stack_file import StackFile


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("45", 45), (" 2m ", 120)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0s", "5 minutes", "-1m", "1d"])
def test_what_is_no_duration_is_said(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 5m or 1h"):
        seconds(text)


def test_exit_codes_tell_the_results_apart() -> None:
    assert CODES == {"healthy": 0, "unhealthy": 1, "inconclusive": 3}


@pytest.mark.parametrize(("trial", "every"), [(5, None), (60, 21)])
def test_a_trial_too_short_for_three_intervals_is_refused(trial: float, every: float | None) -> None:
    work = cast(Work, SimpleNamespace(options=SimpleNamespace(trial=trial, every=every)))
    with pytest.raises(CommandError, match="three intervals") as raised:
        try_canary(work)
    assert raised.value.code == WRONG_USE


class TestOwnCommands:
    @staticmethod
    def commands(folder: Path, line: str) -> Any:
        path = folder / "Pulumi.dev.yaml"
        path.write_text(f"config:\n  addressbook:cloud: local\n{line}\n")
        return own_commands(cast(Work, SimpleNamespace(file=StackFile(path))))

    def test_unset_means_the_addressbooks(self, tmp_path: Path) -> None:
        assert self.commands(tmp_path, "") is None
        assert self.commands(tmp_path, "  addressbook:testCommands: []") is None

    def test_are_lists_of_words(self, tmp_path: Path) -> None:
        line = "  addressbook:testCommands:\n    - [./check, --all]\n    - [./ping]"
        assert self.commands(tmp_path, line) == [["./check", "--all"], ["./ping"]]

    @pytest.mark.parametrize("value", ["./check", "[./check]", "[[1]]", "[[]]"])
    def test_other_forms_are_refused(self, tmp_path: Path, value: str) -> None:
        with pytest.raises(CommandError, match=r"testCommands.*a list of commands, each a list of words"):
            self.commands(tmp_path, f"  addressbook:testCommands: {value}")
