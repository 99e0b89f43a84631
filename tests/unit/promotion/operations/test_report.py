"""Ctrl-C ends `status --watch` after the current look; a preview's exit code is that of `up`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract.errors import INVALID_CONFIG
from promotion.errors import DONE, WRONG_USE
from promotion.operations.report import _StopRequest, preview_code  # pyright: ignore[reportPrivateUsage]
from promotion.operations.update import apply
from promotion.preview.planned import Plan
from tests.unit.promotion.operations.conftest import refused
from tests.unit.promotion.operations.fake_stack import Make


@pytest.fixture
def stop() -> Iterator[_StopRequest]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield _StopRequest()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_wait(stop: _StopRequest, number: signal.Signals):
    stop.wait(0)
    assert not stop.received
    os.kill(os.getpid(), number)
    stop.wait(3600)
    assert stop.received


def test_second_signal_interrupts(stop: _StopRequest):
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


PLAN = Plan("addressbook", "dev", None, None, (), 0, "", "")


@pytest.mark.parametrize("fault", [f"stack `dev`: {INVALID_CONFIG}", "pod-security: run it as a user of its own"])
def test_a_refusal_has_the_same_code_in_preview_and_up(make: Make, fault: str):
    assert preview_code(replace(PLAN, faults=(fault,))) == WRONG_USE
    assert preview_code(PLAN) == DONE
    session, stack = make("up", stableReplicas="3")
    stack.forbidden = (fault,)
    text = session.file.edited({"memoryLimit": "1Gi"})
    refused(lambda: apply(session, text, "", preview=True), session, "refused", WRONG_USE)
