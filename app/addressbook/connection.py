"""One client's connection: HTTP/1.1 over httptools, with limits on what a client can make the process hold.

httptools limits nothing itself. The general servers on top of it (uvicorn, aiohttp) leave the head's time,
connections, pipelines or slow readers unlimited, and their layers cost as much as all the rest of a request.
"""

import asyncio
import time
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools

from addressbook.clients import Clients
from addressbook.exchange import Answer, ClientGone, Headers, Request

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


class _Refused(Exception):
    """Stops the parser."""


class Connection(asyncio.Protocol):
    """HTTP/1.1 on one connection. A request beyond a limit is answered once, and its connection closed."""

    transport: asyncio.Transport

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        # So that a request is answered even if its client ignores its own `Connection: close`.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._url = b""
        self._headers: Headers = []
        self._header_count = 0
        """With trailers."""
        self._in_head = True
        self._unparsed = 0
        """Bytes received since the head or the body began, without the body's own."""
        self._refusal: tuple[int, str] | None = None
        self._overloaded = False
        self._deaf = False
        """What still arrives is discarded."""
        self._lingers = False
        """Whether unread bytes are likely when the last answer is sent; see LINGER_SECONDS."""
        self._latest: Request | None = None
        """The request whose body is arriving, or arrived last."""
        self._running: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[Request] = deque()
        self._drained: asyncio.Future[None] | None = None
        """Set while the client takes nothing."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """Whether an answer is on the way, or the client has not taken all of it."""
        return self._running is not None or self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.transport = transport
        clients = self._clients
        clients.open.add(self)
        seconds = HEAD_SECONDS
        if len(clients.open) > MAX_CONNECTIONS + RESERVED_CONNECTIONS:
            self._deaf = True
            transport.abort()
            return
        if len(clients.open) > MAX_CONNECTIONS:
            # One whose client leaves an answer unread would not go at once.
            oldest = next((each for each in clients.idle if not each.transport.get_write_buffer_size()), None)
            if oldest is not None:
                oldest.close()
            else:
                self._overloaded = True
                seconds = RESERVED_HEAD_SECONDS
        self._head_timer = self._loop.call_later(seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's signature)
        self._clients.open.discard(self)
        self._clients.idle.pop(self, None)
        self._deaf = True
        self._parser = None  # it refers to this object
        self._stop_head_timer()
        self._stop_send_timer()
        self._waiting.clear()
        self._latest = None
        if self._running is not None:
            self._running.lose()
        self.resume_writing()

    def eof_received(self) -> bool:
        """Return whether to keep the sending half open: until the requests that have arrived are answered."""
        if self._latest is not None and not self._latest.complete:
            self._latest.lose()
        if self._running is None:
            return False
        (self._waiting[-1] if self._waiting else self._running).keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._clients.idle.pop(self, None)
        self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._hang_up_after_latest()  # no other protocol is offered
        except httptools.HttpParserError:
            if not self._deaf:
                self._refuse(*(self._refusal or (400, "The request is not valid HTTP.")))
            return
        if self._deaf:
            return
        if self._in_head and self._unparsed > MAX_HEAD_BYTES:
            self._refuse(431, _HEAD_TOO_LARGE)
        elif self._unparsed > MAX_FRAMING_BYTES:
            self._refuse(400, "The request's chunks or trailers are too large.")
        elif self._in_head and self._unparsed > 0 and self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _hang_up_after_latest(self) -> None:
        """Answer the requests that have arrived, and discard what follows them."""
        self._deaf = self._lingers = True
        if self._latest is not None:
            self._latest.keep_alive = False
            self._latest.lose()

    # --- httptools calls these

    def on_message_begin(self) -> None:
        if self._deaf or len(self._waiting) >= MAX_PIPELINED:
            raise _Refused  # the request before it is unanswered, so this one gets no answer
        self._url = b""
        self._headers = []
        self._header_count = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer must not change what the request means
            self._headers.append((name.lower(), value))
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            self._stop_parser(431, f"The request has too many headers: at most {MAX_HEADERS} are accepted.")

    def on_headers_complete(self) -> None:
        size = len(self._url) + sum([len(name) + len(value) + 4 for name, value in self._headers])
        if size > MAX_HEAD_BYTES:
            self._stop_parser(431, _HEAD_TOO_LARGE)
        self._in_head = False
        self._unparsed = 0
        self._stop_head_timer()
        path, query = self._target()
        parser = self._parser
        request = Request(parser.get_method().decode(), path, query, self._headers)
        request.in_http_1_0 = parser.get_http_version() == "1.0"
        request.overloading = self._overloaded and path not in PROBES
        request.keep_alive = not (request.in_http_1_0 or request.overloading) and parser.should_keep_alive()
        if request.header(b"expect") == b"100-continue":
            request.on_wait = self._continue
        self._latest = request
        if self._running is None:
            self._start(request)
        else:
            self.transport.pause_reading()
            self._waiting.append(request)

    def _target(self) -> tuple[str, str]:
        """Return the path, without percent-encoding, and the query."""
        try:
            if self._url.startswith(b"/"):
                path, _, query = self._url.decode("ascii").partition("?")
            else:
                url = httptools.parse_url(self._url)
                path, query = url.path.decode("ascii"), (url.query or b"").decode("ascii")
        except (httptools.HttpParserInvalidURLError, AttributeError, UnicodeDecodeError):
            self._stop_parser(400, "The request's target is not valid.")
            raise
        return (unquote(path) if "%" in path else path), query

    def on_body(self, body: bytes) -> None:
        self._unparsed -= len(body)
        request = self._latest
        if request is not None and not request.receive(body):
            # Even if this was the rest of the body: nothing would resume reading for the next request.
            request.keep_alive = False
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._unparsed = 0
        if self._latest is not None:
            self._latest.end()
            self._deaf = self._deaf or not self._latest.keep_alive

    def _stop_parser(self, status: int, sentence: str) -> None:
        self._refusal = (status, sentence)
        raise _Refused(sentence)

    # --- answering

    def _start(self, request: Request) -> None:
        self._running = request
        if not self._waiting:
            self.transport.resume_reading()
        self._task = self._loop.create_task(self._exchange(request))

    async def _exchange(self, request: Request) -> None:
        application = self._clients.application
        answer = await application.answer(request)
        failure: Exception | None = None
        closing = True
        try:
            closing = await self._send(request, answer)
        except ClientGone:
            pass
        except Exception as error:  # in the middle of an answer: it is cut off and recorded
            failure = error
            request.complete = True
        finally:
            try:
                application.done(request, answer, failure)
            finally:
                self._end_exchange(request, closing)

    async def _send(self, request: Request, answer: Answer) -> bool:
        """Send an answer; return whether the connection closes after it. Raises `ClientGone`."""
        if self._drained is not None:
            await self._drain(request)
        closing = not request.keep_alive or not request.complete or self._clients.draining
        body = answer.body
        framing = b"content-length: %d\r\n" % len(body) if isinstance(body, bytes) else b""
        if not framing and not request.in_http_1_0:
            framing = b"transfer-encoding: chunked\r\n"
        closing = closing or not framing
        head = b"%b%bx-request-id: %b\r\n%b%b\r\n" % (
            answer.head(),
            self._clients.date,
            request.id.encode(),
            framing,
            b"connection: close\r\n" if closing else b"",
        )
        if request.method == "HEAD":
            self._write(head)
        elif isinstance(body, bytes):
            self._write(head + body)
        else:
            self._write(head)
            async for chunk in body:
                framed = chunk if request.in_http_1_0 else b"%x\r\n%b\r\n" % (len(chunk), chunk)
                del chunk  # a slow reader shall hold one copy only
                self._write(framed)
                del framed
                await self._drain(request)
            if not request.in_http_1_0:
                self._write(b"0\r\n\r\n")
        return closing

    def _write(self, data: bytes) -> None:
        """Send a part of an answer. Raises `ClientGone`."""
        if self.transport.is_closing():  # uvloop raises RuntimeError once the connection is lost
            raise ClientGone
        self.transport.write(data)

    async def _drain(self, request: Request) -> None:
        """Wait until the client takes more. Raises `ClientGone`."""
        if self._drained is not None:
            began = time.perf_counter()
            await asyncio.shield(self._drained)
            request.waited += time.perf_counter() - began
        if self.transport.is_closing():
            raise ClientGone

    def _end_exchange(self, request: Request, closing: bool) -> None:
        self._running = self._task = None
        closing = closing or not request.keep_alive  # it may have changed since the head was sent
        if self.transport.is_closing() or (closing and request.complete and not self._lingers):
            self.close()
        elif closing:
            self._linger()
        elif self._waiting:
            self._start(self._waiting.popleft())
        elif self._in_head and self._unparsed == 0:
            self._clients.idle[self] = time.monotonic()

    def _continue(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # --- limits

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()
        self._start_send_timer()

    def resume_writing(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
        if not self.transport.is_closing():
            self._stop_send_timer()

    def close(self) -> None:
        """Close the connection once all is sent, or after SEND_SECONDS; the transport alone waits forever."""
        self._deaf = True
        self._clients.idle.pop(self, None)
        self.transport.close()
        if self in self._clients.open:
            self._start_send_timer()

    def cancel(self) -> None:
        """Stop answering and close the connection at once."""
        if self._task is not None:
            self._task.cancel()
        self.transport.abort()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._running is not None:
            # The head of a pipelined request: the answer before it comes first.
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self._head_is_late)
        elif self._unparsed > 0:
            self._refuse(408, "The request's head took too long to arrive.")
        else:
            self.close()

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer what is no request that the application could be asked."""
        self._stop_head_timer()
        if self._running is not None:
            # The refusal would be read as a part of the answer that is on the way.
            self._hang_up_after_latest()
            return
        answer = Answer.of({"error": sentence}, status)
        assert isinstance(answer.body, bytes)
        framing = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(answer.body)
        self.transport.write(answer.head() + self._clients.date + framing + answer.body)
        self._linger()

    def _linger(self) -> None:
        """Stop sending, and discard what still arrives until the client closes the connection."""
        self._deaf = True
        self.transport.write_eof()
        self.transport.resume_reading()
        self._head_timer = self._loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_send_timer(self) -> None:
        if self._send_timer is None:
            self._send_timer = self._loop.call_later(SEND_SECONDS, self.transport.abort)

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None
