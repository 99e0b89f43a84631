"""Help texts, the version, and a stack without a file."""

from __future__ import annotations

import argparse
import json
import tomllib

import pytest

from contract.project import PROJECT_ROOT
from promotion.arguments import seconds, weight
from promotion.cli import main
from promotion.errors import WRONG_USE


def test_every_command_has_an_example_and_exit_codes(capsys: pytest.CaptureFixture[str]):
    with_stack = ("up", "preview", "down", "canary", "verdict", "promote", "rollback", "undo", "release", "traffic")
    for command in (*with_stack, "status", "dashboard", "history", "diagnose", "stack", "unstack"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"example: python -m promotion {command}" in text
        assert "exit codes: 0 done" in text


def test_a_stack_without_a_file(capsys: pytest.CaptureFixture[str]):
    assert main(["promote", "--stack", "no-such-stack", "--output", "json"]) == WRONG_USE
    printed = capsys.readouterr()
    assert "there is no Pulumi.no-such-stack.yaml" in printed.err
    assert json.loads(printed.out)["code"] == WRONG_USE


def test_version_is_the_projects(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"{project['name']} {project['version']}\n"


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("45", 45), (" 2m ", 120), ("3d", 259200)]
)
def test_durations(text: str, value: float):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0s", "5 minutes", "-1m", "1w"])
def test_an_invalid_duration_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 5m, 12h or 3d"):
        seconds(text)


@pytest.mark.parametrize("text", ["9999999d", "9" * 400])
def test_a_duration_that_no_date_can_hold_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="is too long: give 3650d at most"):
        seconds(text)


@pytest.mark.parametrize(("text", "value"), [("1", "1"), ("0", "0"), ("2.5", "2.5"), ("10.0", "10"), ("99.9", "99.9")])
def test_a_weight_is_a_percentage(text: str, value: str):
    assert weight(text) == value


@pytest.mark.parametrize("text", ["100", "-1", "0.25", "1%", "one", ""])
def test_an_invalid_weight_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a percentage"):
        weight(text)


@pytest.mark.parametrize("command", ["status", "dashboard", "history", "diagnose", "preview"])
def test_reading_commands_need_a_stack_file(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: "/usr/bin/pulumi")
    assert main([command, "--stack", "nobody"]) == 2
    assert "there is no Pulumi.nobody.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["rollback", "--to", ""],
        ["rollback", "--to", " "],
        ["undo", "--stack", ""],
        ["canary", "--image", ""],
        ["stack", "--name", "x", "--image", ""],
        ["stack", "--name", "x", "--platform", ""],
        ["unstack", "--name", ""],
        ["promote", "--message", ""],
        ["traffic", ""],
        ["up", "--set", ""],
    ],
)
def test_an_unset_variable_of_a_script_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    """Without its value, `rollback --to` would remove the canary, and `stack --image` would build."""
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == WRONG_USE
    assert "error: " in capsys.readouterr().err
