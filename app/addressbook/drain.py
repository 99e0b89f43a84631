"""When a process that was told to stop may stop, without a client seeing a connection reset."""

import time
from collections.abc import Callable

QUIET_SECONDS = 0.5
"""No connection open for this long: nobody is on the way here any more."""


class Drain:
    """The state of an orderly stop.

    A client that keeps its connection alive sends its next request at a moment of its own choice; closing
    an idle connection then is a reset to it. So idle connections stay open, each is closed by a
    `Connection: close` on its next answer, and only the bound ends those that stay silent. New connections
    are taken until nobody has come for a moment, for half of the bound at most.
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
        """To be told, now and then, how many connections are open."""
        if open_connections:
            self._last_busy = self._clock()

    def accepting(self) -> bool:
        """Whether new connections are still to be taken."""
        if not self.started:
            return True
        return self._clock() - self._began < self._bound / 2 and not self._quiet()

    def over(self) -> bool:
        """Whether the process may stop now."""
        return self.started and (self._quiet() or self._clock() - self._began >= self._bound)

    def _quiet(self) -> bool:
        return self._clock() - self._last_busy >= min(QUIET_SECONDS, self._bound)
