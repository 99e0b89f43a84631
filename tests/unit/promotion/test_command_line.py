"""What each command says of itself, and of a stack that it does not find."""

from __future__ import annotations

import pytest

from promotion.cli import main
from promotion.errors import WRONG_USE


def test_each_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]):
    for command in ("up", "down", "canary", "verdict", "promote", "rollback", "release", "traffic", "status"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert f"example: python -m promotion {command} --stack dev" in said
        assert "exit codes: 0 done" in said


def test_a_stack_without_a_file(capsys: pytest.CaptureFixture[str]):
    assert main(["promote", "--stack", "no-such-stack", "--output", "json"]) == WRONG_USE
    said = capsys.readouterr()
    assert "there is no Pulumi.no-such-stack.yaml" in said.err
    assert not said.out
