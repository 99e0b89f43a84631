"""`verdict` rolls back a canary that is unhealthy, and leaves one that it cannot or must not judge."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.image import digest_of
from contract.settings import VerdictKeys
from promotion.errors import BUSY, DONE, FAILED, INCONCLUSIVE, UNHEALTHY, WRONG_USE, CommandError
from promotion.operations import explanation, rollback, session
from promotion.operations import verdict as operation
from promotion.operations.options import ChangeOptions, VerdictOptions
from promotion.operations.session import Console, EngineRun, Session
from promotion.operations.verdict import CODES, own_commands, try_canary
from promotion.state import engine
from promotion.state.cluster import cluster
from promotion.state.history import Update
from promotion.state.stack_file import StackFile
from promotion.state.trial_record import read_record
from promotion.verdict import Result, Verdict
from promotion.verdict.observation import Observation, TrackSeen

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
        self.seen: dict[str, str] = {}
        self.updates: list[Update] = []
        self.waited: list[float] = []
        self.keys: object = None
        self.looks: list[Observation] = []
        self.write(**TRIAL)

    def write(self, **config: str) -> None:
        self.path.write_text(
            "config:\n" + "".join(f'  addressbook:{key}: "{value}"\n' for key, value in config.items())
        )

    def values(self) -> dict[str, str]:
        return StackFile(self.path).values()

    def run(self, **options: Any) -> int:
        return operation.verdict(VerdictOptions(**{"trial": 60, "yes": False, **options}))

    def session(self, command: str, options: ChangeOptions) -> Session:
        console = Console(options.output == "json", options.yes, self.out)
        run = EngineRun("dev", console, _stack=cast(Any, self))
        return Session(command, options, StackFile(self.path), console, run, self.updates)

    def export_stack(self) -> Any:
        track = "urn:pulumi:dev::addressbook::delivery:release:Release$delivery:release:Track::"
        return SimpleNamespace(deployment={"resources": [{"urn": track + name} for name in self.tracks]})

    def judge(self, *arguments: object) -> Verdict:
        self.keys = arguments[-1]
        for look in self.looks:
            cast(Any, arguments[2])(look)
        return Verdict(self.result, digest_of(self.running), [], MOMENT, MOMENT)

    def diagnosis(self, *_: object) -> str:
        self.seen = self.values()
        return "the disk is full"

    def up(self, stack: Any, message: str, *, wait_seconds: float, **_: Any) -> dict[str, Any]:
        self.waited.append(wait_seconds)
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
        return SimpleNamespace(image=bench.running, is_available=True, past_deadline=False) if bench.running else None

    monkeypatch.setattr(cluster.Cluster, "of", lambda _: SimpleNamespace(deployment=deployment))
    monkeypatch.setattr(session.Session, "of", bench.session)
    monkeypatch.setattr(operation, "judge", bench.judge)
    monkeypatch.setattr(engine, "up", bench.up)
    monkeypatch.setattr(engine, "outputs", lambda _: {"url": "http://203.0.113.7"})
    monkeypatch.setattr(explanation, "diagnosis", bench.diagnosis)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return bench


def test_an_unhealthy_canary_is_rolled_back_and_diagnosed(bench: Bench, capsys: pytest.CaptureFixture[str]):
    assert bench.run(output="json", message="nightly") == UNHEALTHY
    assert bench.applied == [ROLLED_BACK]
    assert bench.values() == ROLLED_BACK
    assert bench.messages == [f"verdict: canary sha256:{'b' * 12} removed: the canary is unhealthy: nightly"]
    assert "the disk is full" in bench.out.getvalue()
    answer = json.loads(capsys.readouterr().out)
    assert (answer["result"], answer["digest"], answer["takenBack"]) == ("unhealthy", DIGEST, True)


@pytest.mark.parametrize("image", [NEW, "source"])
def test_trial_and_roll_back_are_recorded(bench: Bench, image: str):
    bench.write(**{**TRIAL, "canaryImage": image})
    tracks: Any = {"canary": TrackSeen(NEW, 1, ()), "stable": TrackSeen(OLD, 2, ())}
    bench.looks = [Observation(MOMENT, "watching", "10 s", seconds, 60.0, tracks) for seconds in (10.0, 20.0)]
    assert bench.run() == UNHEALTHY
    trial = read_record(StackFile(bench.path))
    assert trial is not None and trial.verdict and trial.rollback
    assert (trial.digest, [look["seconds"] for look in trial.looks]) == (DIGEST, [10.0, 20.0])
    assert (trial.verdict["result"], trial.rollback["diagnosis"]) == ("unhealthy", "the disk is full")


def test_a_canary_built_from_source_is_rolled_back(bench: Bench):
    bench.write(**{**TRIAL, "canaryImage": "source"})
    assert bench.run() == UNHEALTHY
    assert bench.values() == ROLLED_BACK


def test_keep_leaves_an_unhealthy_canary(bench: Bench, capsys: pytest.CaptureFixture[str]):
    assert bench.run(output="json", keep=True) == UNHEALTHY
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
    assert bench.run(**options) == UNHEALTHY
    assert "[y/N]" not in bench.out.getvalue()


def test_one_yes_covers_trial_and_rollback(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert bench.run() == UNHEALTHY
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
    assert bench.run() == UNHEALTHY
    assert bench.applied == [ROLLED_BACK, ROLLED_BACK]


def test_a_busy_stack_keeps_its_canary_and_says_so(bench: Bench):
    bench.error = CommandError("another command is running", BUSY)
    with pytest.raises(CommandError, match="the roll-back failed: another command is running") as error:
        bench.run()
    assert error.value.code == FAILED, "codes 2 and 4 promise that nothing was changed, but the file has the verdict"
    assert bench.values() == {**TRIAL, "canaryVerdict": RECORD}


def test_the_roll_back_waits_for_another_command(bench: Bench):
    assert bench.run() == UNHEALTHY
    assert bench.waited == [rollback.WAIT_SECONDS]


def test_the_diagnosis_sees_the_canary_before_the_roll_back(bench: Bench):
    assert bench.run() == UNHEALTHY
    assert bench.seen["canaryImage"] == NEW
    assert bench.out.getvalue().index("rolling back") < bench.out.getvalue().index("the disk is full")


@pytest.mark.parametrize(
    "error", [CommandError("events are forbidden"), KeyError("status"), cluster.UnreachableError("x")]
)
def test_no_failure_of_the_diagnosis_stops_the_roll_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(explanation, "diagnosis", fail)
    assert bench.run() == UNHEALTHY
    assert bench.applied == [ROLLED_BACK]
    assert "The cause is unknown: the diagnosis failed" in bench.out.getvalue()


def test_a_slow_diagnosis_does_not_delay_the_roll_back(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    end = Event()
    monkeypatch.setattr(explanation, "diagnosis", lambda *_: end.wait(60))
    monkeypatch.setattr(explanation, "LOOK_SECONDS", 0.05)
    assert bench.run() == UNHEALTHY
    assert bench.applied == [ROLLED_BACK]
    assert "took longer than 0.05 s" in bench.out.getvalue()
    end.set()


def test_every_result_has_its_exit_code():
    assert CODES == {"healthy": 0, "unhealthy": 5, "inconclusive": 3}


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
    assert commands(tmp_path, "") == []
    assert commands(tmp_path, "  addressbook:testCommands: []") == []


def test_test_commands_are_lists_of_words(tmp_path: Path):
    line = "  addressbook:testCommands:\n    - [./check, --all]\n    - [./ping]"
    assert commands(tmp_path, line) == [["./check", "--all"], ["./ping"]]


@pytest.mark.parametrize("value", ["./check", "[./check]", "[[1]]", "[[]]"])
def test_other_forms_of_test_commands_are_refused(tmp_path: Path, value: str):
    with pytest.raises(CommandError, match=r"testCommands.*a list of commands, each a list of words"):
        commands(tmp_path, f"  addressbook:testCommands: {value}")


@pytest.fixture
def repository(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Put the stack file into Git; return a function that runs Git there."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    git("config", "user.name", "a")
    git("config", "user.email", "a@example.com")
    git("add", bench.path.name)
    git("commit", "--quiet", "--message", "trial")
    return git


def test_verdict_and_roll_back_are_one_commit(bench: Bench, repository: Callable[..., str]):
    assert bench.run(commit=True) == UNHEALTHY
    assert repository("log", "--format=%s").splitlines() == [f"dev: {bench.messages[0]}", "trial"]
    assert not repository("status", "--porcelain", "--", bench.path.name)


def test_a_failing_hook_leaves_only_the_commit_undone(
    bench: Bench, repository: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not on Fridays >&2\nexit 1\n")
    hook.chmod(0o755)
    assert bench.run(commit=True) == UNHEALTHY
    assert bench.applied == [ROLLED_BACK]
    printed = capsys.readouterr().err
    assert "not on Fridays" in printed
    assert "Only the commit is missing, all else is done: `git commit --message 'dev: verdict: canary" in printed
    bench.write(**TRIAL)
    bench.result = "healthy"
    assert bench.run(commit=True) == FAILED, "not 0, since the commit is missing"


def identity(git: Callable[..., str], folder: Path) -> None:
    git("config", "--unset", "user.email")
    git("config", "user.useConfigOnly", "true")


def lock(git: Callable[..., str], folder: Path) -> None:
    (folder / ".git" / "index.lock").touch()


def merge(git: Callable[..., str], folder: Path) -> None:
    (folder / ".git" / "MERGE_HEAD").write_text(git("rev-parse", "HEAD"))


def rebase(git: Callable[..., str], folder: Path) -> None:
    (folder / ".git" / "rebase-merge").mkdir()


def ignore(git: Callable[..., str], folder: Path) -> None:
    git("rm", "--quiet", "--cached", "Pulumi.dev.yaml")
    (folder / ".gitignore").write_text("Pulumi.dev.yaml")


@pytest.mark.parametrize(
    ("prevent", "match"),
    [
        (identity, "user.useConfigOnly|tell me who you are"),
        (lock, "index.lock exists"),
        (merge, "a merge is in progress"),
        (rebase, "a rebase is in progress"),
        (ignore, "ignored"),
    ],
)
def test_an_impossible_commit_is_refused_before_the_trial(
    bench: Bench,
    repository: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prevent: Callable[[Callable[..., str], Path], None],
    match: str,
):
    prevent(repository, tmp_path)
    monkeypatch.setattr(operation, "judge", never)
    with pytest.raises(CommandError, match=match) as error:
        bench.run(commit=True)
    assert error.value.code == WRONG_USE
    assert bench.values() == TRIAL


def test_commit_outside_git_is_refused_before_the_trial(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(operation, "judge", never)
    with pytest.raises(CommandError, match="not in a Git checkout") as error:
        bench.run(commit=True)
    assert error.value.code == WRONG_USE


def test_test_commands_on_trial_replace_stables(tmp_path: Path):
    line = "  addressbook:testCommands: [[./old]]\n  addressbook:canarySettings: {testCommands: [[./new]]}"
    assert commands(tmp_path, line) == [["./new"]]


@pytest.mark.parametrize(("option", "warm_up"), [(None, 45), (0, 0), (90.0, 90)])
def test_limits_come_from_the_file_or_the_warm_up_option(bench: Bench, option: float | None, warm_up: int):
    bench.write(**TRIAL, warmUpSeconds="45", canaryErrorLimit="5")
    bench.run(warm_up=option)
    assert isinstance(bench.keys, VerdictKeys)
    assert (bench.keys.warm_up_seconds, bench.keys.canary_error_limit) == (warm_up, 5)


def test_an_invalid_limit_is_refused_before_the_trial(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.write(**TRIAL, canaryLatencyFactor="0.5")
    monkeypatch.setattr(operation, "judge", never)
    with pytest.raises(CommandError, match=r"canaryLatencyFactor = '0\.5'") as raised:
        bench.run()
    assert raised.value.code == WRONG_USE
