"""One client's connection: uvicorn's, with limits on what a client can make the process hold.

httptools limits nothing itself. h11 limits the size of a head but not its time, parses several times slower,
and leaves connections, pipelines and slow readers unlimited too.
"""

import asyncio
from typing import Any, ClassVar

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_CONNECTIONS = 300
"""With slow readers of the longest names on all of them, process and kernel stay below a pod's 256 MiB."""
RESERVED_CONNECTIONS = 32
"""Connections beyond MAX_CONNECTIONS on which only probes are answered, so that load restarts no pod."""
MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers together, as in Node.js."""
MAX_HEADERS = 100
"""Apache's default. Trailers count too."""
MAX_FRAMING_BYTES = 128 * 1024
"""What surrounds a body (chunk sizes, trailers): enough for a form that arrives byte by byte."""
MAX_BUFFERED_BODY_BYTES = 16 * 1024
"""Reading pauses while this much waits for the application."""
MAX_PIPELINED = 16
HEAD_SECONDS = 10.0
RESERVED_HEAD_SECONDS = 1.0
SEND_SECONDS = 60.0
"""A client that leaves an answer unread for this long is disconnected; as in nginx."""
LINGER_SECONDS = 5.0
"""How long the rest of a refused request is discarded before the connection closes.

Closing with unread bytes resets the connection, and the client might never see the answer.
"""
PROBES = frozenset({"/ready", "/live"})

_HEAD_TOO_LARGE = f"The request's head is too large: at most {MAX_HEAD_BYTES} bytes are accepted."
_OVERLOADED = "overloaded"
_RETRY = {"Retry-After": "1", "Connection": "close"}


class _Refused(Exception):
    """Stops the parser."""


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection. A request beyond a limit is answered once, and its connection closed."""

    _idle: ClassVar[dict["LimitedProtocol", None]] = {}
    """Connections between two requests, the longest idle one first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._unparsed = 0
        """Bytes received since the head or the body began, without the body's own."""
        self._refusal: tuple[int, str] | None = None
        self._closing = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        seconds = HEAD_SECONDS
        if len(self.connections) > MAX_CONNECTIONS + RESERVED_CONNECTIONS:
            self._closing = True
            transport.abort()
            return
        if len(self.connections) > MAX_CONNECTIONS:
            # One whose client leaves an answer unread would not go at once.
            oldest = next((each for each in self._idle if not each.transport.get_write_buffer_size()), None)
            if oldest is not None:
                del self._idle[oldest]
                oldest._close()
            else:
                self.app_state = {**self.app_state, _OVERLOADED: True}
                seconds = RESERVED_HEAD_SECONDS
        self._head_timer = self.loop.call_later(seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.pop(self, None)
        self._stop_head_timer()
        self._stop_send_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._idle.pop(self, None)
        self._unparsed += len(data)
        super().data_received(data)
        if self._closing or self.transport.is_closing():
            return
        if self._in_head and self._unparsed > MAX_HEAD_BYTES:
            self._refuse(431, _HEAD_TOO_LARGE)
        elif self._unparsed > MAX_FRAMING_BYTES:
            self._refuse(400, "The request's chunks or trailers are too large.")
        elif self._in_head and self._unparsed > 0 and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused."""
        self._refuse(*(self._refusal or (400, msg)))

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _Refused  # the request before it is unanswered, so this one gets no answer
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._stop_parser(431, f"The request has too many headers: at most {MAX_HEADERS} are accepted.")

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._stop_parser(431, _HEAD_TOO_LARGE)
        self._in_head = False
        self._unparsed = 0
        self._stop_head_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed -= len(body)
        super().on_body(body)
        if not self.cycle.response_complete and len(self.cycle.body) > MAX_BUFFERED_BODY_BYTES:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._unparsed = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._idle[self] = None
        elif self.transport.is_closing():
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._close()

    def _close(self) -> None:
        """Close the connection once all is sent, or after SEND_SECONDS; ``close`` alone waits forever."""
        self.transport.close()
        self._start_send_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_send_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_send_timer()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._answering():
            # The head of a pipelined request: the answer before it comes first.
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        elif self._unparsed > 0:
            self._refuse(408, "The request's head took too long to arrive.")
        else:
            self._close()

    def _answering(self) -> bool:
        # uvicorn's annotation leaves out that it is None before the first request.
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _stop_parser(self, status: int, sentence: str) -> None:
        self._refusal = (status, sentence)
        raise _Refused(sentence)

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer, stop sending, and discard what still arrives until the client closes the connection."""
        self._closing = True
        self._stop_head_timer()
        if self._answering():
            self._close()  # an answer in the middle of another one would be read as part of it
            return
        body = msgspec.json.encode({"error": sentence})
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_send_timer(self) -> None:
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None


class ProbesFirst:
    """An ASGI application that answers only probes on the reserved connections, 503 otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        overloaded = scope["type"] == "http" and _OVERLOADED in scope.get("state", {})
        if not overloaded or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        body = msgspec.json.encode({"error": "Too many clients are connected now: try again."})
        await Response(body, 503, _RETRY, media_type="application/json")(scope, receive, send)
