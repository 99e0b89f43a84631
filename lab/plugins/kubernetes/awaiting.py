"""Waiting until an object is ready, or gone, with progress on the way and the reasons at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab.plugins.kubernetes.cluster import ApiError, Cluster, Unreachable
from lab.plugins.kubernetes.objects import annotation, metadata, name_of, namespace_of
from lab.plugins.properties import Properties

# Seconds: between two looks at an object while things happen fast, and later on.
LOOK_INTERVAL = 0.2
LATER_INTERVAL = 1.0
LATER = 60.0
# How often a wait says what is wrong with the pods, in seconds.
PROBLEMS_INTERVAL = 10.0
# The official provider's default for every kind, in seconds.
DEFAULT_TIMEOUT = 600.0


class NotReady(Exception):
    """The object exists but didn't become ready (or didn't go): why, and the object as it was last seen."""

    def __init__(self, message: str, reasons: Sequence[str], live: Properties) -> None:
        super().__init__(message)
        self.reasons = list(reasons)
        self.live = live


@dataclass(frozen=True)
class State:
    """What a look at an object tells: whether it is ready, what is going on, whether it can't become ready at all."""

    ready: bool
    progress: str = ""
    failed: str = ""
    problems: Callable[[], list[str]] = field(default=lambda: list[str]())
    """Asks for the reasons why it isn't ready: costs requests, so it is only called when they are to be told."""


Look = Callable[[Properties], State]
"""Looks at an object again and again; may remember what it saw."""


@dataclass
class Progress:
    """What the user sees of a wait; the same thing is not said twice."""

    say: Callable[[str], None]
    _last: str = ""

    def report(self, text: str) -> None:
        if text and text != self._last:
            self._last = text
            self.say(text)

    def clear(self) -> None:
        self.say("")


def timeout_of(inputs: Properties, custom: float) -> float:
    """How long to wait, in seconds: the engine's customTimeouts, else the annotation, else the default."""
    if custom:
        return custom
    text = annotation(inputs, "pulumi.com/timeoutSeconds")
    return float(text) if text.lstrip("-").isdigit() else DEFAULT_TIMEOUT


def until_ready(
    cluster: Cluster,
    obj: Properties,
    look: Look,
    timeout: float,
    cancelled: threading.Event,
    progress: Progress,
) -> Properties:
    """The object once it is ready. Raises NotReady after the timeout (in seconds), on failure, or when cancelled."""
    started = time.monotonic()
    told = started
    live, state, problem = obj, State(False), ""
    while True:
        try:
            live = cluster.get(obj["apiVersion"], obj["kind"], namespace_of(obj), name_of(obj))
            state = look(live)
        except ApiError as error:
            if not error.not_found:
                raise NotReady(f"'{name_of(obj)}' can't be watched: {error}", [], live) from None
            raise NotReady(f"'{name_of(obj)}' was deleted while waiting for it", [], live) from None
        except Unreachable as error:
            # The API server of a one-node cluster restarts now and then: the wait's own end decides.
            state = State(False, progress=str(error))
        if state.ready:
            progress.clear()
            return live
        if state.failed:
            message = f"Resource '{name_of(obj)}' was created but failed to initialize"
            raise NotReady(message, [state.failed, *state.problems()], live)
        now = time.monotonic()
        if now - started >= timeout:
            raise NotReady(f"'{name_of(obj)}' timed out waiting to be Ready", _reasons(state), live)
        if now - told >= PROBLEMS_INTERVAL:
            told = now
            problem = "; ".join(_reasons(state))
        progress.report(f"{state.progress}: {problem}" if problem else state.progress)
        if cancelled.wait(_interval(now - started, timeout)):
            raise NotReady(f"Resource operation was cancelled for '{name_of(obj)}'", [], live)


def _reasons(state: State) -> list[str]:
    try:
        return state.problems()
    except (ApiError, Unreachable):
        return []


def _interval(elapsed: float, timeout: float) -> float:
    interval = LOOK_INTERVAL if elapsed < LATER else LATER_INTERVAL
    return max(0.0, min(interval, timeout - elapsed))


def until_gone(
    cluster: Cluster, obj: Properties, timeout: float, cancelled: threading.Event, progress: Progress
) -> None:
    """Wait until the object, or another of its name, is what the API server has. Raises NotReady."""
    started = time.monotonic()
    uid = metadata(obj).get("uid")
    live = obj
    while True:
        try:
            live = cluster.get(obj["apiVersion"], obj["kind"], namespace_of(obj), name_of(obj))
        except ApiError as error:
            if error.not_found:
                progress.clear()
                return
            raise
        if uid and metadata(live).get("uid") != uid:
            return
        elapsed = time.monotonic() - started
        if elapsed >= timeout:
            finalizers = metadata(live).get("finalizers") or []
            held = [f"finalizers hold it back: {', '.join(finalizers)}"] if finalizers else []
            raise NotReady(f"'{name_of(obj)}' timed out waiting to be deleted", held, live)
        progress.report(f"Waiting for {obj['kind']} {name_of(obj)!r} to be deleted")
        if cancelled.wait(_interval(elapsed, timeout)):
            raise NotReady(f"Resource operation was cancelled for '{name_of(obj)}'", [], live)
