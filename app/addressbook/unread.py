"""Close the connection of a request that was answered before its body had arrived."""

import asyncio
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from addressbook.connection import LINGER_SECONDS


class UnreadBody:
    """An ASGI application that wraps another one.

    The rest of the body would otherwise have to be drained, for as long as the client sends, to find the next
    request. The client gets the whole answer at once, and a moment to read it before the connection closes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        unread, closing = True, False

        async def watched_receive() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and bool(message.get("more_body", False))
            return message

        async def closing_send(message: Message) -> None:
            nonlocal closing
            if message["type"] == "http.response.start" and unread:
                closing = True
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            elif closing and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await discard()
                message = {"type": "http.response.body"}
            await send(message)

        async def discard() -> None:
            try:
                async with asyncio.timeout(LINGER_SECONDS):
                    while unread:
                        await watched_receive()
            except TimeoutError:
                pass

        await self._app(scope, watched_receive, closing_send)


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in headers
    )
