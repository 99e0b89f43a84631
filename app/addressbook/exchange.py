"""One request and its answer, as the routes see them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TypeAlias

import msgspec

JSON_TYPE = "application/json"
MAX_BODY_BYTES = 16 * 1024
"""The largest body that a route takes. Reading pauses while more than this waits for the application.

Two names of 255 characters take at most 6 KiB with every byte escaped.
"""

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case."""
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_STATUS_HEADS = {
    status.value: (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nx-content-type-options: nosniff\r\n"
        f"cache-control: no-store\r\ncontent-type: {JSON_TYPE}\r\n"
    ).encode()
    for status in HTTPStatus
}
_encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The connection ended before the request or the answer did."""


class HttpError(Exception):
    """A request that is refused with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Answer(msgspec.Struct, frozen=True):
    """JSON, whole or in chunks."""

    body: bytes | AsyncGenerator[bytes]
    status: int = 200
    headers: Mapping[str, str] = NO_HEADERS

    @classmethod
    def of(cls, content: object, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> "Answer":
        return cls(_encode(content), status, headers)

    def head(self) -> bytes:
        """Return the status line and those headers that depend on the answer alone."""
        head = _STATUS_HEADS[self.status]
        if self.headers:
            head += "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()]).encode()
        return head


class Request:
    """A request whose head has arrived; its body may still be on the way."""

    __slots__ = (
        *(
            "_arrived",
            "_body",
            "_lost",
            "complete",
            "failure",
            "headers",
            "id",
            "in_http_1_0",
            "keep_alive",
            "method",
            "on_wait",
        ),
        *("overloading", "path", "query", "route", "started", "waited"),
    )

    def __init__(self, method: str, path: str, query: str, headers: Headers) -> None:
        self.method = method
        self.path = path
        """Without percent-encoding."""
        self.query = query
        self.headers = headers
        self.keep_alive = True
        self.in_http_1_0 = False
        self.overloading = False
        """Whether there are too many connections to answer it."""
        self.complete = False
        """Whether the whole body has arrived."""
        self.on_wait: Callable[[], None] | None = None
        """Called before the body is waited for."""
        self.started = time.perf_counter()
        self.waited = 0.0
        """Seconds spent on waiting for the client."""
        self.id = ""
        """The request's id in answer and logs."""
        self.route = ""
        """Template of the route that took it, for example `/person/{id}`."""
        self.failure: Exception | None = None
        """Why it could not be answered: a fault in the program."""
        self._body = b""
        self._lost = False
        """Whether no more of the body will arrive."""
        self._arrived: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this name."""
        for each, value in self.headers:
            if each == name:
                return value
        return None

    async def body(self, seconds: float) -> bytes:
        """Return the whole body. Raises HttpError 408 (late) or 413 (too large), or `ClientGone`."""
        length = self.header(b"content-length") or b""
        if not (length.isdigit() and int(length) > MAX_BODY_BYTES):
            await self._arrive(seconds)
            if len(self._body) <= MAX_BODY_BYTES:
                return self._body
        raise HttpError(413, f"The form is too large: at most {MAX_BODY_BYTES} bytes are accepted.")

    async def _arrive(self, seconds: float) -> None:
        if self.complete or len(self._body) > MAX_BODY_BYTES:
            return
        if self._lost:
            raise ClientGone
        if self.on_wait is not None:
            self.on_wait()
        began = time.perf_counter()
        self._arrived = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._arrived
        except TimeoutError:
            raise HttpError(408, f"The form did not arrive within {seconds:.0f} seconds.") from None
        finally:
            self.waited += time.perf_counter() - began

    def receive(self, body: bytes) -> bool:
        """Add a part of the body; return whether more of it may be read now."""
        if len(self._body) <= MAX_BODY_BYTES:
            self._body += body
        if len(self._body) <= MAX_BODY_BYTES:
            return True
        self._wake(None)
        return False

    def end(self) -> None:
        """The body is complete."""
        self.complete = True
        self._wake(None)

    def lose(self) -> None:
        """No more of the request will arrive."""
        if not self.complete:
            self._lost = True
            self._wake(ClientGone())

    def _wake(self, error: ClientGone | None) -> None:
        if self._arrived is None or self._arrived.done():
            return
        if error is None:
            self._arrived.set_result(None)
        else:
            self._arrived.set_exception(error)
