"""Print one line per step with its duration; a long step shows regularly that it is still running."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 20.0  # between the lines of a long step where there is no terminal

_running: list[Step] = []


class Step:
    """A running step. Its `detail` may change while it runs; it is shown with the title."""

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
    _running.append(current)

    def show_life() -> None:
        while not ended.wait(1.0 if terminal else HEARTBEAT_SECONDS):
            if not terminal:
                say(current.line("…"))
            elif current is _running[0]:  # of several at once, a terminal's one line shows the oldest
                sys.stderr.write(f"\r\033[K{current.line('…')}")
                sys.stderr.flush()

    thread = threading.Thread(target=show_life, daemon=True)
    thread.start()
    mark = "✗"
    try:
        yield current
        mark = "✓"
    finally:
        ended.set()
        thread.join()
        _running.remove(current)
        if terminal:
            sys.stderr.write("\r\033[K")
        say(current.line(mark))


def say(line: str) -> None:
    """Print a line of progress on standard error; standard output is for results."""
    print(line, file=sys.stderr, flush=True)
