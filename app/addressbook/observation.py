"""Wrap every request: identify it, answer it whatever happens, log it and count it."""

import logging
import time
from collections.abc import Awaitable, Callable

from addressbook import tracing
from addressbook.connection import PROBES
from addressbook.exchange import Answer, Request
from addressbook.metrics import Metrics

UNMATCHED = "unmatched"
MAX_LOGGED_PATH = 200

_OVERLOADED = Answer.of(
    {"error": "Too many clients are connected now: try again."}, 503, {"Retry-After": "1"}
)
_FAILED = Answer.of({"error": "The addressbook failed; see its log."}, 500)

log = logging.getLogger("addressbook.request")


class Observation:
    """What a connection asks; it asks another application in turn."""

    def __init__(
        self,
        application: Callable[[Request], Awaitable[Answer]],
        metrics: Metrics,
        spans: tracing.Spans | None = None,
    ) -> None:
        self._application = application
        self._metrics = metrics
        self._spans = spans

    async def answer(self, request: Request) -> Answer:
        self._metrics.in_progress += 1
        try:
            identity = tracing.identify(request.headers)
            request.id = identity["request_id"]
            if self._spans is not None:
                identity |= self._spans.begin(request, identity)
            tracing.current.set(identity)
            if request.overloading:
                return _OVERLOADED
            return await self._application(request)
        except Exception as error:  # logged with its traceback once the answer is sent
            request.failure = error
            return _FAILED

    def done(self, request: Request, answer: Answer, failure: Exception | None) -> None:
        """Record an answer; `failure` is why it was cut off."""
        self._metrics.in_progress -= 1
        failure = failure or request.failure
        seconds = time.perf_counter() - request.started - request.waited
        route = request.route or UNMATCHED
        self._metrics.count(request.method, route, answer.status, seconds)
        if self._spans is not None:
            self._spans.end(request, answer.status, failure)
        level = logging.ERROR if failure else _level(route, answer.status)
        if log.isEnabledFor(level):
            fields = {
                "method": request.method,
                "route": route,
                "path": request.path[:MAX_LOGGED_PATH],  # without the query, which may contain anything
                "status": answer.status,
                "milliseconds": round(seconds * 1000, 2),
            }
            log.log(level, "request", extra={"fields": fields}, exc_info=failure)


def _level(route: str, status: int) -> int:
    if status >= 500:
        return logging.ERROR
    # Probed every few seconds.
    return logging.DEBUG if route in PROBES else logging.INFO
