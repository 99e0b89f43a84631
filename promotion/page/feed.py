"""What the page shows now: one thread reads the stacks while somebody looks, and every viewer gets each change once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Any, Protocol

from promotion.page import rendering

#: Seconds between two readings of the stacks, and between two looks for a change of a trial's record.
READ_SECONDS, TRIAL_SECONDS = 5.0, 1.0
#: Viewers at the same time.
MAX_VIEWERS = 8


class StoppedError(Exception):
    """The page has ended."""


class Reader(Protocol):
    """Reads a stack's document (`document.StackReader`)."""

    @property
    def trial_changed(self) -> float: ...

    def read(self) -> dict[str, Any]: ...

    def read_trial(self) -> dict[str, Any]: ...


def page_document(stacks: Sequence[Mapping[str, Any]], *, public: bool) -> dict[str, Any]:
    """Return the document of a page. ``public``: more people may read it, so that drift is shown without values."""
    return {"taken": datetime.now(UTC).isoformat(timespec="seconds"), "public": public, "stacks": list(stacks)}


class Feed:
    """The latest document, and its changes for any number of viewers. Nothing is read while nobody looks."""

    def __init__(self, readers: Sequence[Reader], read_seconds: float = READ_SECONDS) -> None:
        """Read the stacks once."""
        self._readers = readers
        self._read_seconds = read_seconds
        self._changed = Condition()
        self._number = 0
        self._viewers = 0
        self._stopped = False
        self.document = self._read()
        self.error: Exception | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to follow the stacks."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; viewers get no more changes."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def enter(self) -> bool:
        """Register a viewer; return False if there are too many."""
        with self._changed:
            if self._viewers >= MAX_VIEWERS:
                return False
            self._viewers += 1
            self._changed.notify_all()
            return True

    def leave(self) -> None:
        """Unregister a viewer."""
        with self._changed:
            self._viewers -= 1

    def next(self, after: int, seconds: float) -> tuple[int, dict[str, str] | None]:
        """Return the number and the event of the first change after number ``after``; no event after ``seconds``.

        Raises StoppedError once the feed has stopped.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._number > after, seconds)
            if self._stopped:
                raise StoppedError
            if self._number <= after:
                return after, None
            document = self.document
            number = self._number
        return number, {"title": rendering.title(document), "html": str(rendering.contents(document))}

    def _read(self) -> dict[str, Any]:
        return page_document([reader.read() for reader in self._readers], public=False)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # a bug: the page ends, and its command reports it
            self.error = error
            self.stop()

    def _follow(self) -> None:
        trials, due = [reader.trial_changed for reader in self._readers], time.monotonic() + self._read_seconds
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._viewers > 0)
                if self._stopped:
                    return
                self._changed.wait_for(lambda: self._stopped, min(TRIAL_SECONDS, self._read_seconds))
            now = [reader.trial_changed for reader in self._readers]
            if time.monotonic() >= due:
                self._publish(self._read())
                due = time.monotonic() + self._read_seconds
            elif now != trials:
                self._publish(page_document([reader.read_trial() for reader in self._readers], public=False))
            trials = now

    def _publish(self, document: dict[str, Any]) -> None:
        with self._changed:
            self.document, self._number = document, self._number + 1
            self._changed.notify_all()
