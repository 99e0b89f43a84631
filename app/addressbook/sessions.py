"""The connections to PostgreSQL that a process holds, each with its prepared statements."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # only the stubs know these as generics
    import asyncpg
    from asyncpg.prepared_stmt import PreparedStatement

    Record: TypeAlias = asyncpg.Record
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

Statement: TypeAlias = tuple[str, tuple[object, ...]]

IDLE_SECONDS = 120.0
"""A connection unused for longer is replaced, since NAT gateways drop it silently (after 350 s or more)."""


class Session:
    """One connection and the statements that were prepared on it."""

    def __init__(self, connection: "Connection", generation: int) -> None:
        self._connection = connection
        self._prepared: dict[str, PreparedStatement[Record]] = {}
        self.generation = generation
        self.used = time.monotonic()

    async def execute(self, statements: Sequence[Statement]) -> "Sequence[Record]":
        """Run the statements, several of them in a transaction; return the last one's rows."""
        if len(statements) == 1:
            return await self._fetch(*statements[0])
        rows: Sequence[Record] = []
        async with self._connection.transaction():
            for query, values in statements:
                rows = await self._fetch(query, values)
        return rows

    async def _fetch(self, query: str, values: tuple[object, ...]) -> "Sequence[Record]":
        statement = self._prepared.get(query)
        if statement is None:
            statement = self._prepared[query] = await self._connection.prepare(query)
        return await statement.fetch(*values)

    def alive(self) -> bool:
        """Return whether it can be used, as far as the event loop knows."""
        return not self._connection.is_closed() and time.monotonic() - self.used < IDLE_SECONDS

    def terminate(self) -> None:
        self._connection.terminate()

    async def close(self, seconds: float) -> None:
        await self._connection.close(timeout=seconds)


class Sessions:
    """At most `size` connections, opened at their first use and lent in the order in which requests ask.

    asyncpg's pool does the same for any use. Its proxies and resets cost more than a lookup by key, and its
    queue lets newcomers overtake.
    """

    def __init__(
        self, connect: "Callable[[float], Awaitable[Connection]]", size: int, wait_seconds: float
    ) -> None:
        """`connect` opens a connection within some seconds; `wait_seconds` limits how long `lend` takes."""
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._size = self._unopened = size
        self._idle: list[Session] = []
        """The last used one at the end. Empty while a request waits."""
        self._waiting: deque[tuple[float, asyncio.Future[Session | None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        """Ends the first request's wait: a timer for each request would cost more than its wait."""
        self._generation = 0
        self.on_wait: Callable[[float], None] = lambda _seconds: None
        """Called with the seconds that a request waited for a connection."""

    def count(self) -> tuple[int, int]:
        """Return how many connections are open, and how many of these are idle."""
        return self._size - self._unopened, len(self._idle)

    async def lend(self) -> Session:
        """Return a session for the caller alone, who gives it back.

        Raises TimeoutError, or what `connect` raises.
        """
        if self._idle:
            session = self._idle.pop()
            if self._usable(session):
                self.on_wait(0.0)
                return session
            self.discard(session)
        started = time.perf_counter()
        try:
            return await self._obtain(started)
        finally:
            self.on_wait(time.perf_counter() - started)

    def give_back(self, session: Session) -> None:
        session.used = time.monotonic()
        self._pass_on(session)

    def discard(self, session: Session) -> None:
        """Close a session instead of giving it back."""
        session.terminate()
        self._pass_on(None)

    def expire(self) -> None:
        """Close the idle connections, and the others once they are given back."""
        self._generation += 1
        for session in self._idle:
            session.terminate()
        self._unopened += len(self._idle)
        self._idle.clear()

    async def close(self, seconds: float) -> None:
        """Close the idle connections."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(session.close(seconds) for session in idle), return_exceptions=True)

    async def _obtain(self, started: float) -> Session:
        session = await self._turn()
        if session is not None:
            if self._usable(session):
                return session
            session.terminate()
        generation = self._generation
        try:
            left = self._wait_seconds - (time.perf_counter() - started)
            return Session(await self._connect(left), generation)
        except BaseException:
            self._pass_on(None)
            raise

    async def _turn(self) -> Session | None:
        """Wait for a session; return None for the right to open one."""
        if self._unopened:
            self._unopened -= 1
            return None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Session | None] = loop.create_future()
        self._waiting.append((loop.time() + self._wait_seconds, turn))
        if self._timer is None:
            self._timer = loop.call_later(self._wait_seconds, self._end_waits)
        return await turn

    def _pass_on(self, session: Session | None) -> None:
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(session)
                return
        if session is None:
            self._unopened += 1
        else:
            self._idle.append(session)

    def _end_waits(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(TimeoutError())
        self._timer = loop.call_at(self._waiting[0][0], self._end_waits) if self._waiting else None

    def _usable(self, session: Session) -> bool:
        return session.generation == self._generation and session.alive()
