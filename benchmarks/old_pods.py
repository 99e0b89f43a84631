"""Measure when the last old pod is gone, by watching the cluster."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from types import TracebackType

#: Seconds after which pods that do not appear or disappear count as stuck.
STUCK_SECONDS = 600
#: One line per event: ADDED, MODIFIED or DELETED, then the pod's name, track and image.
SHOWN = (
    'jsonpath={.type} {.object.metadata.name} {.object.metadata.labels.track} {.object.spec.containers[0].image}{"\\n"}'
)


class OldPods:
    """Watch a release's pods until only stable's pods with the new ``image`` are left.

    ``kubectl`` is the command with its context and namespace.
    """

    def __init__(self, kubectl: Sequence[str], image: str) -> None:
        self._command = [*kubectl, "get", "pods", "-l", "app=addressbook"]
        self._command += ["--watch", "--output-watch-events", "-o", SHOWN]
        self._image = image
        self._left: frozenset[str] = frozenset()
        self._gone_at = 0.0
        self._seen, self._gone = threading.Event(), threading.Event()

    def __enter__(self) -> OldPods:
        self._watch = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, process_group=0)
        threading.Thread(target=self._follow, daemon=True).start()
        self._await(self._seen, "no old pod is there")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watch.terminate()
        self._watch.wait()

    def gone(self) -> float:
        """Wait until the last old pod is gone; return that time by ``time.perf_counter``."""
        self._await(self._gone, "old pods don't go")
        return self._gone_at

    def _follow(self) -> None:
        for line in self._watch.stdout or ():
            left = still_old(self._left, line, self._image)
            if self._left and not left:
                self._gone_at = time.perf_counter()
                self._gone.set()
            elif left:
                self._gone.clear()
                self._seen.set()
            self._left = left

    def _await(self, event: threading.Event, error: str) -> None:
        if not event.wait(STUCK_SECONDS):
            raise ValueError(f"{error}, after {STUCK_SECONDS} s: {', '.join(sorted(self._left)) or 'none seen'}")


def still_old(left: frozenset[str], event: str, image: str) -> frozenset[str]:
    """Return the old pods after an event: the canary's, and stable's with another image."""
    what, name, track, runs = event.split()
    if track == "stable" and runs == image:
        return left
    return left - {name} if what == "DELETED" else left | {name}
