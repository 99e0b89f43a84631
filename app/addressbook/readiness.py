"""Readiness, checked over a database connection that no user's request can occupy."""

import asyncio

from addressbook.persons import Persons


class Readiness:
    """Whether persons can be served. Checks that are asked for at the same time share one query."""

    def __init__(self, persons: Persons) -> None:
        self._persons = persons
        self._running: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Return if the database and its table answer. Raises `Unavailable`."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._persons.ready())
        await asyncio.shield(self._running)
