"""OpenTelemetry traces of requests and of their statements, sent by OTLP over HTTP.

The official SDK reads the standard variables. Its queue is bounded and a thread of its own sends: a collector
that is slow or gone costs spans, never requests. Imported only if traces are wanted.
"""

import asyncio
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from addressbook.connection import PROBES
from addressbook.exchange import Request
from addressbook.metrics import METHODS
from addressbook.settings import Settings

MAX_TRACESTATE = 512
"""Characters that must be passed on at least, by the standard. Waiting spans hold them."""
MAX_PATH = 200
FLUSH_SECONDS = 2.0
"""Time for the last spans to be sent when the process stops."""


class Traces:
    """The spans of one process."""

    def __init__(self, settings: Settings) -> None:
        self._database = settings.database
        given = OTELResourceDetector().detect().attributes
        defaults = {SERVICE_NAME: "addressbook", SERVICE_VERSION: settings.version}
        # It registers no handler at exit, which would wait for a dead collector.
        self._provider = TracerProvider(
            resource=Resource.create({**defaults, **given}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("addressbook", settings.version)
        self._spans: dict[Request, Span] = {}

    def begin(self, request: Request, identity: Mapping[str, str]) -> dict[str, str]:
        """Start the request's span, in the caller's trace if there is one; return its fields for the logs.

        Probes get none.
        """
        if request.path in PROBES:
            return {}
        method = request.method if request.method in METHODS else "_OTHER"
        span = self._tracer.start_span(
            method,
            _caller(request) if "parent_id" in identity else context.Context(),
            SpanKind.SERVER,
            {
                "http.request.method": method,
                "url.path": request.path[:MAX_PATH],
                "url.scheme": "http",
                "network.protocol.version": "1.0" if request.in_http_1_0 else "1.1",
            },
        )
        self._spans[request] = span
        # Never detached: each request has a task, and so a context, of its own.
        context.attach(trace.set_span_in_context(span))
        known = span.get_span_context()
        return {"trace_id": f"{known.trace_id:032x}", "span_id": f"{known.span_id:016x}"}

    def end(self, request: Request, status: int, failure: Exception | None) -> None:
        """End the request's span, if it has one."""
        span = self._spans.pop(request, None)
        if span is None:
            return
        if request.route:
            method = request.method if request.method in METHODS else "HTTP"
            span.update_name(f"{method} {request.route}")
            span.set_attribute("http.route", request.route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500 or failure:
            span.set_attribute("error.type", type(failure).__name__ if failure else str(status))
            span.set_status(StatusCode.ERROR)
        span.end()

    @contextmanager
    def statement(self, query: str) -> Generator[None]:
        """Record a statement as part of the request that runs it.

        Values are not recorded, and neither is an error's message, which may contain some.
        """
        if not trace.get_current_span().is_recording():  # a probe, or a trace that is not sampled
            yield
            return
        operation = query.partition(" ")[0]
        attributes: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.namespace": self._database.name,
            "db.operation.name": operation,
            "db.query.text": query,
            "server.address": self._database.host,
            "server.port": self._database.port,
        }
        span = self._tracer.start_span(f"{operation} person", None, SpanKind.CLIENT, attributes)
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()

    async def close(self) -> None:
        """Send what is left, for a bounded time."""
        closed = asyncio.get_running_loop().create_future()

        def shut_down() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(lambda: closed.done() or closed.set_result(None))

        loop = asyncio.get_running_loop()
        # A daemon: the process ends without it if the collector does not answer.
        threading.Thread(target=shut_down, daemon=True).start()
        await asyncio.wait([closed], timeout=FLUSH_SECONDS)


def _caller(request: Request) -> context.Context:
    """Return the caller's context; its `traceparent` is valid."""
    carrier = {"traceparent": (request.header(b"traceparent") or b"").decode("latin-1")}
    state = request.header(b"tracestate")
    if state is not None and len(state) <= MAX_TRACESTATE:
        carrier["tracestate"] = state.decode("latin-1")
    return TraceContextTextMapPropagator().extract(carrier, context.Context())
