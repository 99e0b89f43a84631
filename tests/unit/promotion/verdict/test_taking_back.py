"""A canary that `verdict` finds unhealthy is taken back; one that it leaves, or may not judge, stays as it is."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from promotion.commands import verdict as command
from promotion.errors import BUSY, DONE, FAILED, INCONCLUSIVE, WRONG_USE, CommandError
from promotion.operations import failed_canary
from promotion.operations.work import Work
from promotion.state import engine as stacks
from promotion.state.cluster import cluster
from promotion.state.stack_file import StackFile
from promotion.verdict import Result, Verdict

OLD, NEW, OTHER = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "abc")
DIGEST = f"sha256:{'b' * 64}"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
RECORD = f"unhealthy {DIGEST} 2026-01-01T00:00:00Z"
TRIAL = {
    "stableImage": OLD,
    "stableReplicas": "2",
    "stableReplicasAfterTrial": "3",
    "canaryImage": NEW,
    "canaryReplicas": "1",
}
#: The stack file after it.
BACK = {"stableImage": OLD, "stableReplicas": "3", "canaryVerdict": RECORD}


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


class Bench:
    """The command on a stack file, with an engine that only notes what it is to bring up."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "Pulumi.dev.yaml"
        self.out = io.StringIO()
        self.result: Result = "unhealthy"
        self.runs = NEW
        self.parts = ["stable", "canary"]
        self.fault: CommandError | None = None
        self.applied: list[dict[str, str]] = []
        self.messages: list[str] = []
        self.has(**TRIAL)

    def has(self, **config: str) -> None:
        self.path.write_text(
            "config:\n" + "".join(f'  addressbook:{key}: "{value}"\n' for key, value in config.items())
        )

    def values(self) -> dict[str, str]:
        return StackFile(self.path).values()

    def run(self, **options: Any) -> int:
        given = {"trial": 60, "every": None, "keep": False, "yes": False, "message": None, "output": "text", **options}
        return command.run(argparse.Namespace(stack="dev", commit=False, wait=0, **given))

    @contextmanager
    def working(self, options: argparse.Namespace, name: str) -> Generator[Work]:
        yield Work("dev", name, StackFile(self.path), options, self.out, _stack=cast(Any, self))

    def export_stack(self) -> Any:
        track = "urn:pulumi:dev::addressbook::delivery:release:Release$delivery:release:Track::"
        return SimpleNamespace(deployment={"resources": [{"urn": track + part} for part in self.parts]})

    def judge(self, *_: object) -> Verdict:
        return Verdict(self.result, self.runs.partition("@")[2], [], MOMENT, MOMENT)

    def up(self, stack: Any, message: str, **_: Any) -> dict[str, Any]:
        self.applied.append(self.values())
        self.messages.append(message)
        if self.fault:
            raise self.fault
        return {"url": "http://203.0.113.7"}


def never(*_: object) -> Verdict:
    pytest.fail("it was tried")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)

    def deployment(track: str) -> Any:
        return SimpleNamespace(image=made.runs) if made.runs else None

    monkeypatch.setattr(cluster.Cluster, "of", lambda _: SimpleNamespace(deployment=deployment))
    monkeypatch.setattr(command, "working", made.working)
    monkeypatch.setattr(command, "judge", made.judge)
    monkeypatch.setattr(stacks, "up", made.up)
    monkeypatch.setattr(stacks, "outputs", lambda _: {"url": "http://203.0.113.7"})
    monkeypatch.setattr(failed_canary, "diagnosis", lambda _: "the disk is full")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return made


def test_an_unhealthy_canary_is_taken_back_with_its_diagnosis(bench: Bench, capsys: pytest.CaptureFixture[str]):
    assert bench.run(output="json", message="nightly") == FAILED
    assert bench.applied == [BACK]
    assert bench.values() == BACK
    assert bench.messages == [f"verdict: canary sha256:{'b' * 12} removed: the canary was found unhealthy: nightly"]
    assert "the disk is full" in bench.out.getvalue()
    said = json.loads(capsys.readouterr().out)
    assert (said["result"], said["digest"], said["takenBack"]) == ("unhealthy", DIGEST, True)


def test_one_that_was_built_from_source_too(bench: Bench):
    bench.has(**{**TRIAL, "canaryImage": "source"})
    assert bench.run() == FAILED
    assert bench.values() == BACK


def test_keep_leaves_it(bench: Bench, capsys: pytest.CaptureFixture[str]):
    assert bench.run(output="json", keep=True) == FAILED
    assert not bench.applied
    assert bench.values() == {**TRIAL, "canaryVerdict": RECORD}
    assert json.loads(capsys.readouterr().out)["takenBack"] is False


@pytest.mark.parametrize(("result", "code"), [("healthy", DONE), ("inconclusive", INCONCLUSIVE)])
def test_another_canary_stays_on_trial(bench: Bench, result: Result, code: int):
    bench.result = result
    assert bench.run() == code
    assert not bench.applied
    assert bench.values()["canaryImage"] == NEW


@pytest.mark.parametrize("answer", ["", "no\n", "\n"])
def test_on_a_terminal_it_is_asked_before_the_trial(bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: str):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(command, "judge", never)
    with pytest.raises(CommandError, match="nothing was changed") as fault:
        bench.run()
    assert fault.value.code == WRONG_USE
    assert bench.values() == TRIAL


@pytest.mark.parametrize("options", [{"yes": True}, {"keep": True}])
def test_where_that_is_said_already_nothing_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]
):
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert bench.run(**options) == FAILED
    assert "[y/N]" not in bench.out.getvalue()


def test_a_yes_is_for_all_of_it(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert bench.run() == FAILED
    assert bench.values() == BACK


@pytest.mark.parametrize("config", [{**TRIAL, "canaryImage": OTHER}, {"stableImage": OLD, "stableReplicas": "3"}])
def test_a_canary_that_the_file_does_not_name_is_not_judged(bench: Bench, config: dict[str, str]):
    """It would be the wrong one that is taken back, and that is remembered as unhealthy."""
    bench.has(**config)
    with pytest.raises(CommandError, match=f"but the stack runs {DIGEST}") as fault:
        bench.run()
    assert fault.value.code == WRONG_USE
    assert bench.values() == config


def test_a_taking_back_that_was_cut_off_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.fault = CommandError("the network is gone")
    with pytest.raises(CommandError, match="the network"):
        bench.run()
    assert bench.values() == BACK, "so that the file says where the stack is to go"
    bench.fault = None
    monkeypatch.setattr(command, "judge", never)
    assert bench.run() == FAILED
    assert bench.applied == [BACK, BACK]


def test_where_somebody_else_is_at_work_the_canary_stays(bench: Bench):
    bench.fault = CommandError("somebody is at work", BUSY)
    with pytest.raises(CommandError, match="at work") as fault:
        bench.run()
    assert fault.value.code == BUSY
    assert bench.values() == {**TRIAL, "canaryVerdict": RECORD}


def test_a_cluster_that_does_not_answer_is_not_the_canarys_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object) -> str:
        raise CommandError("the cluster does not answer")

    monkeypatch.setattr(failed_canary, "diagnosis", unreachable)
    with pytest.raises(CommandError, match="does not answer"):
        bench.run()
    assert not bench.applied
    assert bench.values()["canaryImage"] == NEW
