"""Decide when a stopping process may exit without a client seeing a connection reset."""

import time
from collections.abc import Callable

QUIET_SECONDS = 0.5
"""After this long without an open connection, no client is coming any more."""


class Drain:
    """The state of a graceful shutdown.

    A client with a kept-alive connection may send its next request at any moment, and sees a reset if the
    server closes the connection just then. So idle connections stay open: each is closed by a
    `Connection: close` on its next answer, or by the time limit if it stays silent. New connections are
    accepted until no client has come for a moment, for at most half of the time limit.
    """

    def __init__(self, bound_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.started = False
        self._bound = bound_seconds
        self._clock = clock
        self._began = 0.0
        self._last_busy = 0.0

    def begin(self) -> None:
        self.started = True
        self._began = self._last_busy = self._clock()

    def watch(self, open_connections: int) -> None:
        """Record how many connections are open; call it periodically."""
        if open_connections:
            self._last_busy = self._clock()

    def accepting(self) -> bool:
        """Return whether to accept new connections."""
        if not self.started:
            return True
        return self._clock() - self._began < self._bound / 2 and not self._quiet()

    def over(self) -> bool:
        """Return whether the process may exit now."""
        return self.started and (self._quiet() or self._clock() - self._began >= self._bound)

    def _quiet(self) -> bool:
        return self._clock() - self._last_busy >= min(QUIET_SECONDS, self._bound)
