"""Wrap every request: log it, count it, and close its connection while the process drains."""

import logging
import time
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from addressbook.connection import PROBES
from addressbook.drain import Drain
from addressbook.metrics import Metrics

UNMATCHED = "unmatched"
MAX_LOGGED_PATH = 200

log = logging.getLogger("addressbook.request")


class Observation:
    """An ASGI application that wraps another one."""

    def __init__(
        self, app: ASGIApp, routes: Mapping[Callable[..., object], str], metrics: Metrics, drain: Drain
    ) -> None:
        self._app = app
        self._routes = routes
        """Route templates by endpoint."""
        self._metrics = metrics
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._drain.started:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        failure: Exception | None = None
        try:
            await self._app(scope, receive, observed_send)
        except Exception as error:
            if not status:
                raise
            failure = error  # already answered with 500; the log line below has the traceback
        finally:
            self._record(scope, status or 500, time.perf_counter() - started, failure)

    def _record(self, scope: Scope, status: int, seconds: float, failure: Exception | None) -> None:
        method = scope["method"]
        route = self._routes[scope["endpoint"]] if "endpoint" in scope else UNMATCHED
        self._metrics.count(method, route, status, seconds)
        level = _level(route, status)
        if log.isEnabledFor(level):
            fields = {
                "method": method,
                "route": route,
                "path": scope["path"][:MAX_LOGGED_PATH],  # without the query, which may contain anything
                "status": status,
                "milliseconds": round(seconds * 1000, 2),
            }
            log.log(level, "request", extra={"fields": fields}, exc_info=failure)


def _level(route: str, status: int) -> int:
    if status >= 500:
        return logging.ERROR
    # Probed every few seconds.
    return logging.DEBUG if route in PROBES else logging.INFO
