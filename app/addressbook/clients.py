"""What the connections of a process share: who answers, who is idle, and the time."""

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

from addressbook.exchange import Answer, Request

if TYPE_CHECKING:
    from addressbook.connection import Connection

KEEP_ALIVE_SECONDS = 620.0
"""Longer than load balancers keep idle connections: usually 60 s, Google's 600 s.

They must close first. Otherwise a request may arrive on a connection that is just being closed, and its
client sees a 502. Idle connections keep nobody out: the longest idle one makes room.
"""


class Application(Protocol):
    """What answers the requests."""

    async def answer(self, request: Request) -> Answer:
        """Return the answer. Raises nothing."""
        ...

    def done(self, request: Request, answer: Answer, failure: Exception | None) -> None:
        """Record an answer that was sent, or failed to be sent for a reason of ours."""
        ...


class Clients:
    """All connections of the process."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.open: set[Connection] = set()
        self.idle: dict[Connection, float] = {}
        """Since when connections are between two requests, the longest idle one first."""
        self.draining = False
        """Every answer asks its client to close the connection."""
        self.date = b""
        self.tick()

    def tick(self) -> None:
        """Look at the clock; call it at least once a second."""
        self.date = b"date: %s\r\n" % formatdate(usegmt=True).encode()
        late = time.monotonic() - KEEP_ALIVE_SECONDS
        for client, since in list(self.idle.items()):
            if since > late:
                break
            client.close()

    def close_idle(self) -> None:
        for client in list(self.idle):
            client.close()

    def cancel(self) -> None:
        """Stop answering."""
        for client in list(self.open):
            client.cancel()
