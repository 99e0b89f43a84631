"""`verdict` rolls back a canary that is unhealthy, and leaves one that it cannot or must not judge."""

from __future__ import annotations

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

from contract.image import digest_of
from promotion.errors import BUSY, DONE, FAILED, INCONCLUSIVE, WRONG_USE, CommandError
from promotion.operations import rollback
from promotion.operations import verdict as operation
from promotion.operations.options import ChangeOptions, VerdictOptions
from promotion.operations.session import Console, EngineRun, Session
from promotion.operations.verdict import CODES, own_commands, try_canary
from promotion.state import engine
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
#: The stack file after a rollback.
ROLLED_BACK = {"stableImage": OLD, "stableReplicas": "3", "canaryVerdict": RECORD}


class Terminal(io.StringIO):
    """A terminal at which a person answers."""

    def isatty(self) -> bool:
        return True


class Bench:
    """The operation on a stack file, with an engine that only records its updates."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "Pulumi.dev.yaml"
        self.out = io.StringIO()
        self.result: Result = "unhealthy"
        self.running = NEW
        self.tracks = ["stable", "canary"]
        self.error: CommandError | None = None
        self.applied: list[dict[str, str]] = []
        self.messages: list[str] = []
        self.write(**TRIAL)

    def write(self, **config: str) -> None:
        self.path.write_text(
            "config:\n" + "".join(f'  addressbook:{key}: "{value}"\n' for key, value in config.items())
        )

    def values(self) -> dict[str, str]:
        return StackFile(self.path).values()

    def run(self, **options: Any) -> int:
        return operation.verdict(VerdictOptions(**{"trial": 60, "yes": False, **options}))

    @contextmanager
    def open_session(self, command: str, options: ChangeOptions) -> Generator[Session]:
        console = Console(options.output == "json", options.yes, self.out)
        run = EngineRun("dev", console, _stack=cast(Any, self))
        yield Session(command, options, StackFile(self.path), console, run)

    def export_stack(self) -> Any:
        track = "urn:pulumi:dev::addressbook::delivery:release:Release$delivery:release:Track::"
        return SimpleNamespace(deployment={"resources": [{"urn": track + name} for name in self.tracks]})

    def judge(self, *_: object) -> Verdict:
        return Verdict(self.result, digest_of(self.running), [], MOMENT, MOMENT)

    def up(self, stack: Any, message: str, **_: Any) -> dict[str, Any]:
        self.applied.append(self.values())
        self.messages.append(message)
        if self.error:
            raise self.error
        return {"url": "http://203.0.113.7"}


def never(*_: object) -> Verdict:
    pytest.fail("the canary was judged")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path)

    def deployment(track: str) -> Any:
        return SimpleNamespace(image=bench.running) if bench.running else None

    monkeypatch.setattr(cluster.Cluster, "of", lambda _: SimpleNamespace(deployment=deployment))
    monkeypatch.setattr(operation, "open_session", bench.open_session)
    monkeypatch.setattr(operation, "judge", bench.judge)
    monkeypatch.setattr(engine, "up", bench.up)
    monkeypatch.setattr(engine, "outputs", lambda _: {"url": "http://203.0.113.7"})
    monkeypatch.setattr(rollback, "diagnosis", lambda _: "the disk is full")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return bench


def test_an_unhealthy_canary_is_rolled_back_and_diagnosed(bench: Bench, capsys: pytest.CaptureFixture[str]):
    assert bench.run(output="json", message="nightly") == FAILED
    assert bench.applied == [ROLLED_BACK]
    assert bench.values() == ROLLED_BACK
    assert bench.messages == [f"verdict: canary sha256:{'b' * 12} removed: the canary is unhealthy: nightly"]
    assert "the disk is full" in bench.out.getvalue()
    answer = json.loads(capsys.readouterr().out)
    assert (answer["result"], answer["digest"], answer["takenBack"]) == ("unhealthy", DIGEST, True)


def test_a_canary_built_from_source_is_rolled_back(bench: Bench):
    bench.write(**{**TRIAL, "canaryImage": "source"})
    assert bench.run() == FAILED
    assert bench.values() == ROLLED_BACK


def test_keep_leaves_an_unhealthy_canary(bench: Bench, capsys: pytest.CaptureFixture[str]):
    assert bench.run(output="json", keep=True) == FAILED
    assert not bench.applied
    assert bench.values() == {**TRIAL, "canaryVerdict": RECORD}
    assert json.loads(capsys.readouterr().out)["takenBack"] is False


@pytest.mark.parametrize(("result", "code"), [("healthy", DONE), ("inconclusive", INCONCLUSIVE)])
def test_any_other_canary_stays_on_trial(bench: Bench, result: Result, code: int):
    bench.result = result
    assert bench.run() == code
    assert not bench.applied
    assert bench.values()["canaryImage"] == NEW


@pytest.mark.parametrize("answer", ["", "no\n", "\n"])
def test_a_no_at_the_terminal_stops_before_the_trial(bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: str):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(operation, "judge", never)
    with pytest.raises(CommandError, match="nothing was changed") as error:
        bench.run()
    assert error.value.code == WRONG_USE
    assert bench.values() == TRIAL


@pytest.mark.parametrize("options", [{"yes": True}, {"keep": True}])
def test_yes_and_keep_ask_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]):
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert bench.run(**options) == FAILED
    assert "[y/N]" not in bench.out.getvalue()


def test_one_yes_covers_trial_and_rollback(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert bench.run() == FAILED
    assert bench.values() == ROLLED_BACK


@pytest.mark.parametrize("config", [{**TRIAL, "canaryImage": OTHER}, {"stableImage": OLD, "stableReplicas": "3"}])
def test_a_canary_that_is_not_in_the_file_is_not_judged(bench: Bench, config: dict[str, str]):
    """Otherwise the wrong image would be rolled back and recorded as unhealthy."""
    bench.write(**config)
    with pytest.raises(CommandError, match=f"but the stack runs the canary {DIGEST}") as error:
        bench.run()
    assert error.value.code == WRONG_USE
    assert bench.values() == config


def test_an_interrupted_rollback_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.error = CommandError("the network is gone")
    with pytest.raises(CommandError, match="the network"):
        bench.run()
    assert bench.values() == ROLLED_BACK, "so that the next command knows the target"
    bench.error = None
    monkeypatch.setattr(operation, "judge", never)
    assert bench.run() == FAILED
    assert bench.applied == [ROLLED_BACK, ROLLED_BACK]


def test_a_busy_stack_keeps_its_canary(bench: Bench):
    bench.error = CommandError("another command is running", BUSY)
    with pytest.raises(CommandError, match="is running") as error:
        bench.run()
    assert error.value.code == BUSY
    assert bench.values() == {**TRIAL, "canaryVerdict": RECORD}


def test_an_unreachable_cluster_does_not_blame_the_canary(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object) -> str:
        raise CommandError("the cluster does not answer")

    monkeypatch.setattr(rollback, "diagnosis", unreachable)
    with pytest.raises(CommandError, match="does not answer"):
        bench.run()
    assert not bench.applied
    assert bench.values()["canaryImage"] == NEW


def test_every_result_has_its_exit_code():
    assert CODES == {"healthy": 0, "unhealthy": 1, "inconclusive": 3}


@pytest.mark.parametrize(("trial", "every"), [(5, None), (60, 21)])
def test_a_trial_shorter_than_three_intervals_is_refused(trial: float, every: float | None):
    with pytest.raises(CommandError, match="three intervals") as error:
        try_canary(cast(Session, None), VerdictOptions(trial=trial, every=every))
    assert error.value.code == WRONG_USE


def commands(folder: Path, line: str) -> Any:
    path = folder / "Pulumi.dev.yaml"
    path.write_text(f"config:\n  addressbook:cloud: local\n{line}\n")
    return own_commands(StackFile(path))


def test_without_test_commands_there_are_none(tmp_path: Path):
    assert commands(tmp_path, "") is None
    assert commands(tmp_path, "  addressbook:testCommands: []") is None


def test_test_commands_are_lists_of_words(tmp_path: Path):
    line = "  addressbook:testCommands:\n    - [./check, --all]\n    - [./ping]"
    assert commands(tmp_path, line) == [["./check", "--all"], ["./ping"]]


@pytest.mark.parametrize("value", ["./check", "[./check]", "[[1]]", "[[]]"])
def test_other_forms_of_test_commands_are_refused(tmp_path: Path, value: str):
    with pytest.raises(CommandError, match=r"testCommands.*a list of commands, each a list of words"):
        commands(tmp_path, f"  addressbook:testCommands: {value}")


def test_a_failed_commit_does_not_stop_the_rollback(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def commit(*_: object) -> None:
        raise CommandError("`git commit` failed")

    monkeypatch.setattr(operation, "commit", commit)
    assert bench.run() == FAILED
    assert bench.applied == [ROLLED_BACK]
    assert "`git commit` failed" in bench.out.getvalue()
