"""Wait until an object is ready or gone, show the progress, and give the reasons when a wait fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab.plugins.kubernetes.cluster import ApiError, Cluster, UnreachableError
from lab.plugins.kubernetes.objects import annotation, metadata, name_of
from lab.plugins.properties import Properties

TIMEOUT = "pulumi.com/timeoutSeconds"
# Seconds between two looks at an object: in the first minute, and after it.
LOOK_INTERVAL = 0.2
LATER_INTERVAL = 1.0
LATER = 60.0
# Seconds between two looks at what keeps the pods from being ready.
PROBLEMS_INTERVAL = 10.0
# The official provider's default, in seconds.
DEFAULT_TIMEOUT = 600.0


class NotReadyError(Exception):
    """A wait failed. Carries the reasons and the object's last known state."""

    def __init__(self, message: str, reasons: Sequence[str], live: Properties) -> None:
        super().__init__(message)
        self.reasons = list(reasons)
        self.live = live


@dataclass(frozen=True)
class State:
    """What one look at an object shows.

    ``failed`` is the reason why the object can never become ready. ``problems`` returns the reasons why it is not
    ready yet; it costs requests, so it is called only to show them.
    """

    ready: bool
    progress: str = ""
    failed: str = ""
    problems: Callable[[], list[str]] = field(default=lambda: list[str]())


Look = Callable[[Properties], State]


@dataclass
class Wait:
    """How a resource's waits behave. ``timeout`` is in seconds; ``report`` shows progress to the user."""

    timeout: float
    cancelled: threading.Event
    report: Callable[[str], None]
    _reported: str = ""

    def show(self, text: str) -> None:
        """Report progress, unless the text is the last one again."""
        if text and text != self._reported:
            self._reported = text
            self.report(text)

    def pause(self, obj: Properties, elapsed: float) -> None:
        """Sleep until the next look. Raises NotReadyError when the engine cancels the operation."""
        interval = LOOK_INTERVAL if elapsed < LATER else LATER_INTERVAL
        if self.cancelled.wait(max(0.0, min(interval, self.timeout - elapsed))):
            raise NotReadyError(f"Resource operation was cancelled for '{name_of(obj)}'", [], obj)


def timeout_of(inputs: Properties, custom: float) -> float:
    """Return the timeout in seconds: the engine's customTimeouts, else the annotation, else the default."""
    text = annotation(inputs, TIMEOUT)
    return custom or (float(text) if text.lstrip("-").isdigit() else DEFAULT_TIMEOUT)


def until_ready(cluster: Cluster, obj: Properties, look: Look, wait: Wait) -> Properties:
    """Return the object once it is ready. Raises NotReadyError on timeout, failure, deletion or cancellation."""
    started = looked_for_problems = time.monotonic()
    live, state, problem = obj, State(False), ""
    while True:
        try:
            live = cluster.live(obj)
            state = look(live)
        except ApiError as error:
            reason = "was deleted while waiting for it" if error.not_found else f"cannot be watched: {error}"
            raise NotReadyError(f"'{name_of(obj)}' {reason}", [], live) from None
        except UnreachableError as error:
            # A single-node cluster's API server restarts now and then, so only the timeout ends the wait.
            state = State(False, progress=str(error))
        if state.ready:
            wait.report("")
            return live
        if state.failed:
            message = f"Resource '{name_of(obj)}' was created but failed to initialize"
            raise NotReadyError(message, [state.failed, *state.problems()], live)
        now = time.monotonic()
        if now - started >= wait.timeout:
            raise NotReadyError(f"'{name_of(obj)}' timed out waiting to be Ready", _problems(state), live)
        if now - looked_for_problems >= PROBLEMS_INTERVAL:
            looked_for_problems = now
            problem = "; ".join(_problems(state))
        wait.show(f"{state.progress}: {problem}" if problem else state.progress)
        wait.pause(live, now - started)


def _problems(state: State) -> list[str]:
    try:
        return state.problems()
    except (ApiError, UnreachableError):
        return []


def until_gone(cluster: Cluster, obj: Properties, wait: Wait) -> None:
    """Return once the object is deleted, or another one has its name. Raises NotReadyError, ApiError or
    UnreachableError.
    """
    started = time.monotonic()
    uid = metadata(obj).get("uid")
    while True:
        try:
            live = cluster.live(obj)
        except ApiError as error:
            if error.not_found:
                wait.report("")
                return
            raise
        if uid and metadata(live).get("uid") != uid:
            return
        elapsed = time.monotonic() - started
        if elapsed >= wait.timeout:
            finalizers = metadata(live).get("finalizers") or []
            reasons = [f"finalizers are left: {', '.join(finalizers)}"] if finalizers else []
            raise NotReadyError(f"'{name_of(obj)}' timed out waiting to be deleted", reasons, live)
        wait.show(f"Waiting for {obj['kind']} {name_of(obj)!r} to be deleted")
        wait.pause(live, elapsed)
