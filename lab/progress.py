"""One line for each step with the time it took; long steps show that they go on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 20.0  # how often a long step shows a sign of life where there is no terminal


class Step:
    """A running step; `detail` may be changed while it runs and is shown with the sign of life and at the end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def line(self, mark: str) -> str:
        detail = f" · {self.detail}" if self.detail else ""
        return f"{mark} {self.title}{detail} ({self.seconds():.1f} s)"


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Print one line when the step has ended, and signs of life while it runs."""
    current = Step(title)
    ended = threading.Event()
    terminal = sys.stderr.isatty()

    def show_life() -> None:
        while not ended.wait(1.0 if terminal else HEARTBEAT_SECONDS):
            if terminal:
                sys.stderr.write(f"\r\033[K{current.line('…')}")
                sys.stderr.flush()
            else:
                say(current.line("…"))

    thread = threading.Thread(target=show_life, daemon=True)
    thread.start()
    mark = "✗"
    try:
        yield current
        mark = "✓"
    finally:
        ended.set()
        thread.join()
        if terminal:
            sys.stderr.write("\r\033[K")
        say(current.line(mark))


def say(line: str) -> None:
    """A line of progress. Standard error, so that standard output holds results only."""
    print(line, file=sys.stderr, flush=True)
