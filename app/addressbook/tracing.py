"""Identify requests in the logs: a request id, and the trace that the caller's `traceparent` names (W3C)."""

import random
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Protocol

from addressbook.exchange import Request

REQUEST_ID_BITS = 64

current: ContextVar[dict[str, str]] = ContextVar("current")
"""Fields that every log line of the running request gets."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:-]{1,64}")
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


class Spans(Protocol):
    """Where requests and statements are recorded beyond the logs; `telemetry.Traces` is one."""

    def begin(self, request: Request, identity: Mapping[str, str]) -> dict[str, str]:
        """Begin to record a request; return its fields for the logs."""
        ...

    def end(self, request: Request, status: int, failure: Exception | None) -> None:
        """Record how a request was answered."""
        ...

    def statement(self, query: str) -> AbstractContextManager[None]:
        """Record a statement that runs inside."""
        ...


def identify(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return `request_id` and, if the request belongs to a trace, `trace_id` and `parent_id`.

    The client's `X-Request-ID` is taken if it is harmless; otherwise one is made up. An invalid or repeated
    `traceparent` is ignored, as the standard asks.
    """
    request_id = f"{random.getrandbits(REQUEST_ID_BITS):016x}"
    traces: list[bytes] = []
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent":
            traces.append(value)
    fields = {"request_id": request_id}
    match = _TRACEPARENT.fullmatch(traces[0]) if len(traces) == 1 else None
    if match and not (match[1] == b"00" and match[4]):
        fields |= {"trace_id": match[2].decode(), "parent_id": match[3].decode()}
    return fields
