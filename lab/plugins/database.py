"""What a cloud answers while the real server behind a simulated database can't be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.plugins.kind import Refused
from lab.plugins.postgres import Server, Unavailable


@contextmanager
def refusing(answer: str) -> Iterator[None]:
    """What the server lacks becomes the cloud's refusal: its answer (``500``), then the server's own words."""
    try:
        yield
    except Unavailable as fault:
        raise Refused(f"{answer} {fault}") from None


def start(server: Server, answer: str) -> None:
    """For every look at it: a restarted lab has ended the server; the cloud would not have. Raises Refused."""
    with refusing(answer):
        server.start()
