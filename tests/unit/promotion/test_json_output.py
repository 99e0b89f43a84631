"""With `--output json`, standard output has one document, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promotion import cli
from promotion.cli import main
from promotion.errors import BUSY, DONE, FAILED, INTERRUPTED, UNHEALTHY, WRONG_USE, CommandError
from promotion.operations import promote, report, stack

JSON = ["--output", "json"]
COMMANDS = (
    "up",
    "preview",
    "down",
    "canary",
    "verdict",
    "promote",
    "rollback",
    "release",
    "status",
    "dashboard",
    "history",
    "diagnose",
)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def document(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> tuple[dict[str, Any], str]:
    """Run the command; return its only document and its standard error."""
    assert main(arguments) == code
    printed = capsys.readouterr()
    return json.loads(printed.out), printed.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_refusal_is_a_document(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: "/usr/bin/pulumi")
    got, err = document(capsys, [command, "--stack", "nobody", *JSON], WRONG_USE)
    assert {key: got[key] for key in ("command", "stack", "code")} == {"command": command, "stack": "nobody", "code": 2}
    assert "there is no Pulumi.nobody.yaml" in got["error"]
    assert f"error: {got['error']}\n" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["promote-everything", *JSON], "invalid choice"),
        (["canary", "--replicas", "many", *JSON], "invalid int value"),
        (["canary", "--output=json", "--imaeg", "x"], "unrecognized arguments"),
        (JSON, "invalid choice: 'json'"),
        (["traffic", *JSON], "required"),
        (["traffic", "canary", "--out", "json", *JSON], "unrecognized arguments"),
        (["status", "--wait", "--watch", *JSON], "not allowed with"),
    ],
)
def test_wrong_use_is_a_document(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    got, err = document(capsys, arguments, WRONG_USE)
    assert message in got["error"]
    assert got["code"] == WRONG_USE
    assert "usage: " in err


def raising(error: BaseException) -> Callable[[object], int]:
    def operation(_: object) -> int:
        print("progress")
        raise error

    return operation


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CommandError("is at work", BUSY), BUSY, "is at work"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (TypeError("a bug"), FAILED, "unexpected TypeError: a bug"),
        (OSError(28, "No space left on device"), FAILED, "No space left on device"),
    ],
)
def test_every_failure_is_a_document(
    error: BaseException,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.setattr(promote, "promote", raising(error))
    monkeypatch.setattr(cli, "LOCKS", tmp_path)
    got, err = document(capsys, ["promote", *JSON], code)
    assert message in got["error"]
    assert got["code"] == code
    assert "progress\n" in err
    assert "Traceback" not in err
    if isinstance(error, TypeError):
        assert str(tmp_path) in err
        assert "TypeError: a bug" in (tmp_path / "traceback.txt").read_text()


def test_a_failure_after_the_result_is_the_same_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def operation(_: object) -> int:
        print(json.dumps({"stack": "acme/dev", "result": "unhealthy"}))
        raise CommandError("rolled back", UNHEALTHY)

    monkeypatch.setattr(promote, "promote", operation)
    got, _ = document(capsys, ["promote", *JSON], UNHEALTHY)
    expected = {"stack": "acme/dev", "result": "unhealthy", "command": "promote", "error": "rolled back", "code": 5}
    assert got == expected


def test_a_command_without_a_result_is_a_document(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stack, "down", lambda _: DONE)
    assert document(capsys, ["down", *JSON], DONE)[0] == {"command": "down", "stack": "dev"}


def test_watching_prints_a_failure_as_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "status", raising(CommandError("gone")))
    assert main(["status", "--watch", *JSON]) == FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "progress"
    assert json.loads(lines[1])["error"] == "gone"


def test_help_is_no_document(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["status", "--help", *JSON])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


PRINTING = """
import sys
from promotion.cli import main
from promotion.operations import stack
stack.down = lambda _: print("x" * 1_000_000) or 0
sys.exit(main(["down"]))
"""


def test_a_closed_pipe_prints_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PRINTING], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (FAILED, b"")
