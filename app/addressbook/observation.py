"""Wrap every request: log it, count it, and close its connection while the process drains."""

import logging
import time
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from addressbook import tracing
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
        identity = tracing.identify(scope["headers"])
        tracing.current.set(identity)
        request_id = (b"x-request-id", identity["request_id"].encode())
        started = time.perf_counter()
        status, waited = 0, 0.0

        async def observed_receive() -> Message:
            nonlocal waited
            began = time.perf_counter()
            message = await receive()
            if not status:  # afterwards nobody waits for it: it tells when the client leaves
                waited += time.perf_counter() - began
            return message

        async def observed_send(message: Message) -> None:
            nonlocal status, waited
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], request_id]
                if self._drain.started:
                    message["headers"].append((b"connection", b"close"))
            began = time.perf_counter()
            await send(message)
            waited += time.perf_counter() - began

        failure: Exception | None = None
        try:
            self._metrics.in_progress.inc()
            await self._app(scope, observed_receive, observed_send)
        except Exception as error:
            if not status:
                raise
            failure = error  # already answered, or cut off; the log line below has the traceback
        finally:
            self._metrics.in_progress.dec()
            self._record(scope, status or 500, time.perf_counter() - started - waited, failure)

    def _record(self, scope: Scope, status: int, seconds: float, failure: Exception | None) -> None:
        method = scope["method"]
        route = self._routes[scope["endpoint"]] if "endpoint" in scope else UNMATCHED
        self._metrics.count(method, route, status, seconds)
        level = logging.ERROR if failure else _level(route, status)
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
