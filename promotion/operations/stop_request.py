"""Ctrl-C for commands that run until somebody stops them."""

from __future__ import annotations

import signal
import time
from types import FrameType

#: Seconds between two checks for Ctrl-C while waiting.
POLL_SECONDS = 0.1


class StopRequest:
    """The first Ctrl-C or SIGTERM, so that a report can finish; a second one interrupts.

    Not a threading.Event: a signal that arrives while the main thread holds the event's lock would block forever.
    """

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            signal.default_int_handler(number, frame)
        self.received = True

    def wait(self, seconds: float) -> None:
        """Wait for a request, at most this long."""
        end = time.monotonic() + seconds
        while not self.received and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))
