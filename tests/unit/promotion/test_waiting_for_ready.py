"""`status --wait` ends when all tracks are ready, or says what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from promotion.cli import main
from promotion.errors import DONE, DRIFTED, FAILED, CommandError
from promotion.operations import report
from promotion.operations.options import StatusOptions
from promotion.state.stack_state import DeployedTrack, StackState
from promotion.status import status as status_module
from promotion.status.drift import Drift
from promotion.status.status import Status, missing
from tests.unit.promotion.test_status import STATUS, A, B

assert STATUS.live is not None
LIVE = {"stable": STATUS.live["stable"], "canary": replace(STATUS.live["canary"], ready=1)}
READY = replace(STATUS, live=LIVE)
NOT_YET = STATUS  # its canary has no ready pod


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (READY, []),
        (NOT_YET, ["canary has 0 of 1 pods ready"]),
        (replace(READY, live=None, unreachable="timeout"), ["the cluster cannot be reached: timeout"]),
        (replace(READY, live={"stable": LIVE["stable"]}), ["canary has no Deployment"]),
        (replace(READY, state=StackState()), ["no track is deployed yet"]),
        (
            replace(READY, state=StackState({"stable": DeployedTrack(B, 4)})),
            ["stable runs sha256:aaaaaaaaaaaa instead of sha256:bbbbbbbbbbbb"],
        ),
        (replace(READY, state=StackState({"stable": DeployedTrack(A, 4)})), ["stable has 2 of 4 pods ready"]),
    ],
)
def test_unready_tracks_have_reasons(status: Status, reasons: list[str]):
    assert missing(status) == reasons


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The results of the looks at the stack, in order; the last one is repeated. Time passes only between looks."""
    results: list[Any] = []
    now = [0.0]

    class Observer:
        def __init__(self, *_: object, **__: object) -> None: ...

        def look(self) -> Status:
            result = results.pop(0) if len(results) > 1 else results[0]
            if isinstance(result, Exception):
                raise result
            return result

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(status_module, "Observer", Observer)
    monkeypatch.setattr(report, "select_stack", lambda _: None)
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(report.time, "sleep", sleep)
    return results


def test_waiting_ends_when_all_are_ready(looks: list[Any], capsys: pytest.CaptureFixture[str]):
    looks += [CommandError("stack `dev` runs nothing"), NOT_YET, NOT_YET, READY]
    assert main(["status", "--wait", "--output", "json"]) == DONE
    printed = capsys.readouterr()
    got = json.loads(printed.out)
    assert got["ready"] is True
    assert got["missing"] == []
    assert "error" not in got
    assert printed.err.splitlines() == ["waiting: stack `dev` runs nothing", "waiting: canary has 0 of 1 pods ready"]


def test_waiting_in_vain_says_what_is_missing(looks: list[Any], capsys: pytest.CaptureFixture[str]):
    looks += [NOT_YET]
    assert main(["status", "--wait", "5", "--output", "json"]) == FAILED
    got = json.loads(capsys.readouterr().out)
    assert got["missing"] == ["canary has 0 of 1 pods ready"]
    assert got["error"] == "stack `dev` is not ready after 5 s: canary has 0 of 1 pods ready"


def test_a_stack_that_stays_empty_is_an_error(looks: list[Any]):
    looks += [CommandError("stack `dev` runs nothing")]
    with pytest.raises(CommandError, match="runs nothing"):
        report.status(StatusOptions(ready_within=3))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (READY, DONE),
        (replace(READY, drift=[Drift("git and file", "edited", "commit it")]), DRIFTED),
        (replace(READY, live=None, unreachable="timeout"), FAILED),
        (replace(READY, uncompared="Git refuses to read /srv"), FAILED),
    ],
    ids=["agreement", "drift", "no cluster", "no Git"],
)
def test_the_exit_code_tells_drift_from_failure(looks: list[Any], status: Status, code: int):
    looks += [status]
    assert main(["status", "--exit-code"]) == code
    assert main(["status"]) == (FAILED if status.live is None else DONE)
