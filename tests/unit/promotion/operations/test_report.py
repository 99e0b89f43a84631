"""A preview shows the digest of its steps and has the exit code of `up`; Ctrl-C ends `status --watch`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.errors import INVALID_CONFIG
from contract.judging import RequestMetrics
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations import report
from promotion.operations.options import PreviewOptions
from promotion.operations.report import (  # pyright: ignore[reportPrivateUsage]
    preview_code,
    request_metrics,
)
from promotion.operations.stop_request import StopRequest
from promotion.operations.update import apply
from promotion.preview.planned import Plan
from promotion.preview.reviewed import ReviewedPreview
from promotion.preview.steps import digest_of_steps
from promotion.state.stack_file import StackFile
from tests.unit.promotion.operations.conftest import refused
from tests.unit.promotion.operations.fake_stack import Make

STEPS = ("update urn:a", "  spec.replicas: 3 -> 2")
PLAN = Plan("addressbook", "dev", None, None, (), 20, "", "", steps=STEPS, digest=digest_of_steps(STEPS))


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchanged(plan: Plan, _: Any) -> Plan:
        return plan

    monkeypatch.setattr(report, "select_stack", lambda name: name)
    monkeypatch.setattr(report, "plan", lambda _: PLAN)
    monkeypatch.setattr(report, "with_revisions", unchanged)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("output", ["text", "json", "markdown"])
def test_preview_shows_and_saves_its_digest(output: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "preview.json"
    assert report.preview(PreviewOptions(output=output, save=str(file))) == 0
    shown = capsys.readouterr().out
    assert PLAN.digest in shown
    assert ReviewedPreview.of(str(file), "dev") == ReviewedPreview(PLAN.digest, list(STEPS))
    if output == "json":
        assert json.loads(shown) == json.loads(file.read_text())


@pytest.mark.usefixtures("planned")
def test_preview_that_cannot_be_saved_ends_with_2(tmp_path: Path):
    with pytest.raises(CommandError, match="cannot write the file") as error:
        report.preview(PreviewOptions(save=str(tmp_path / "no" / "preview.json")))
    assert error.value.code == WRONG_USE


def test_status_survives_an_invalid_judging_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text("config:\n  addressbook:metricsPath: /stats\n")
    assert request_metrics(StackFile(path)) == RequestMetrics(path="/stats")
    path.write_text("config:\n  addressbook:metricsPath: /stats\n  addressbook:warmUpSeconds: soon\n")
    assert request_metrics(StackFile(path)) == RequestMetrics()
    warning = capsys.readouterr().err
    assert warning.startswith("warning: Pulumi.dev.yaml: invalid config")
    assert "warmUpSeconds" in warning


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield StopRequest()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_wait(stop: StopRequest, number: signal.Signals):
    stop.wait(0)
    assert not stop.received
    os.kill(os.getpid(), number)
    stop.wait(3600)
    assert stop.received


def test_second_signal_interrupts(stop: StopRequest):
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


EMPTY = Plan("addressbook", "dev", None, None, (), 0, "", "")


@pytest.mark.parametrize("fault", [f"stack `dev`: {INVALID_CONFIG}", "pod-security: run it as a user of its own"])
def test_a_refusal_has_the_same_code_in_preview_and_up(make: Make, fault: str):
    assert preview_code(replace(EMPTY, faults=(fault,))) == WRONG_USE
    assert preview_code(EMPTY) == DONE
    session, stack = make("up", stableReplicas="3")
    stack.forbidden = (fault,)
    text = session.file.edited({"memoryLimit": "1Gi"})
    refused(lambda: apply(session, text, "", preview=True), session, "refused", WRONG_USE)
