"""Ctrl-C ends `status --watch` after the current look."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from promotion.operations.report import _StopRequest  # pyright: ignore[reportPrivateUsage]


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
