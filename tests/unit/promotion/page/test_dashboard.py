"""The command: a page in a file, as JSON, or served until Ctrl-C; one stack or all."""

from __future__ import annotations

import json
import re
import signal
import stat
import sys
import urllib.request
from pathlib import Path
from subprocess import PIPE, Popen
from types import SimpleNamespace
from typing import Any

import pytest

from promotion.cli import main
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations import dashboard
from tests.unit.promotion.page.states import STATES, page_of
from tests.unit.promotion.page.test_server import FakeReader

#: A process that serves a page as the command does, with a reader that needs no stack.
SERVE = """
from promotion.operations import dashboard
from tests.unit.promotion.page.test_server import FakeReader
raise SystemExit(dashboard._serve([FakeReader("no-canary")]))
"""


@pytest.fixture(autouse=True)
def stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def reader(name: str) -> FakeReader:
        if name == "broken":
            raise CommandError("there is no Pulumi.broken.yaml", WRONG_USE)
        return FakeReader("rolled-back" if name == "prod" else "no-canary")

    monkeypatch.setattr(dashboard, "_reader", reader)


def test_a_file_is_the_whole_page_for_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    target = tmp_path / "release.html"
    target.write_text("the last one")
    assert main(["dashboard", "--stack", "prod", "--html", str(target)]) == DONE
    text = target.read_text()
    assert STATES["rolled-back"]()[0]["headline"] in text
    assert "data-live" not in text.partition("<script>")[0]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [target]
    assert str(target) in capsys.readouterr().out


@pytest.mark.parametrize("file", ["missing/release.html", "."])
def test_an_unwritable_file_is_refused(tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]):
    assert main(["dashboard", "--stack", "prod", "--html", str(tmp_path / file)]) == WRONG_USE
    assert f"--html {tmp_path / file}: " in capsys.readouterr().err


def test_json_is_the_document(capsys: pytest.CaptureFixture[str]):
    assert main(["dashboard", "--stack", "prod", "--output", "json"]) == DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["stacks"] == json.loads(json.dumps(page_of("rolled-back")["stacks"]))


def test_all_stacks_are_shown_even_if_one_is_unreadable(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    names = [SimpleNamespace(name=name, current=name == "prod") for name in ("staging", "broken", "prod")]
    selected: list[str] = []
    project = SimpleNamespace(list_stacks=lambda: names, select_stack=selected.append)
    monkeypatch.setattr(dashboard, "workspace", lambda: project)
    assert main(["dashboard", "--all", "--output", "json"]) == DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["stack"] is None
    stages = [stack["stage"] for stack in shown["stacks"]]
    assert stages == ["unreadable", "rolled back", "no canary"]
    assert selected == ["prod"], "the user's stack stays selected"


def test_a_stack_and_all_exclude_each_other(capsys: pytest.CaptureFixture[str]):
    assert main(["dashboard", "--all", "--stack", "prod"]) == WRONG_USE
    assert "not allowed with argument" in capsys.readouterr().err


def test_ctrl_c_ends_the_served_page_cleanly():
    process = Popen([sys.executable, "-c", SERVE], stdout=PIPE, stderr=PIPE, text=True)
    assert process.stdout
    [address] = re.findall(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline())
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address) as page:
        assert "stable serves everyone" in page.read().decode()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (DONE, "")
