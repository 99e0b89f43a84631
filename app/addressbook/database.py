"""The pool of connections to PostgreSQL, and what its failures mean to a person."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from addressbook.settings import DatabaseSettings

if TYPE_CHECKING:  # only the stubs know these as generics
    Record: TypeAlias = asyncpg.Record
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]

CONNECT_SECONDS = 3.0
"""A database that does not answer must not keep a user waiting longer than a page load."""
STATEMENT_SECONDS = 5.0
"""Far above the slowest statement (all persons), far below a proxy's usual 30 s."""
IDLE_SECONDS = 120.0
"""Idle connections close before NAT gateways drop them (350 s or more)."""
CLOSE_SECONDS = 2.0

LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""The connection was lost (TLS failures and timeouts are OSErrors too).

asyncpg raises InternalClientError if the server's last message meets a statement that is just being sent.
"""
NOT_SENT = asyncpg.InterfaceError
"""asyncpg refused to use the connection, so the statement was not sent (or its transaction not committed)."""
FAILURES = (asyncpg.PostgresError, *LOST)

FAILURE_KINDS = ("timeout", "connection", "statement")

log = logging.getLogger(__name__)

Statement: TypeAlias = tuple[str, tuple[object, ...]]


class Unavailable(Exception):
    """The database cannot answer now; `reason` is a sentence for the operator, without secrets."""

    def __init__(self, reason: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome_unknown = outcome_unknown
        """True if a change was sent but its answer was lost: it may have been stored."""


async def connect(settings: DatabaseSettings) -> "Connection":
    """Open one connection outside the pool, for the commands. Raises one of `FAILURES`."""
    return await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
        ssl=settings.tls or False,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        server_settings={"application_name": "addressbook"},
    )


class Database:
    """A pool that connects on first use, so that it can be created before the database is up.

    A connection that died (restart, failover) is replaced at its next use. A statement is repeated once if it
    was not sent, or if repeating it can't change anything.
    """

    def __init__(self, settings: DatabaseSettings, pool_size: int) -> None:
        self._settings = settings
        self._size = pool_size
        self._pool: Pool | None = None
        self._turns = asyncio.Semaphore(pool_size)
        """Serves in order of arrival; the pool's own queue lets newcomers overtake waiters."""
        self.on_wait: Callable[[float], None] = lambda _seconds: None
        """Called with the seconds that a request waited for a connection."""
        self.on_failure: Callable[[str], None] = lambda _kind: None
        """Called with the kind of each failure, also of those that a repetition hid from the user."""

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            host=self._settings.host,
            port=self._settings.port,
            database=self._settings.name,
            user=self._settings.user,
            password=self._settings.password,
            ssl=self._settings.tls or False,
            min_size=0,
            max_size=self._size,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            reset=_keep_session,
            server_settings={
                "application_name": "addressbook",
                "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
            },
        )

    async def close(self) -> None:
        """Close the pool; terminate connections that are not returned in time."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_SECONDS)
        except TimeoutError:
            self._pool.terminate()

    def connections(self) -> tuple[int, int]:
        """Return how many connections are open, and how many of these are idle."""
        if self._pool is None:
            return 0, 0
        return self._pool.get_size(), self._pool.get_idle_size()

    async def read(self, query: str, *values: object) -> "Sequence[Record]":
        """Return the rows of a read-only query; repeat it once if the connection was dead."""
        return await self._run([(query, values)], repeatable=True)

    async def write(self, query: str, *values: object) -> "Sequence[Record]":
        """Return the rows of a statement that changes data; repeat it once if it was not sent."""
        return await self._run([(query, values)], repeatable=False)

    async def write_together(self, statements: Sequence[Statement]) -> "Sequence[Record]":
        """Run several statements in one transaction; return the last one's rows."""
        return await self._run(statements, repeatable=False)

    async def _run(self, statements: Sequence[Statement], *, repeatable: bool) -> "Sequence[Record]":
        try:
            return await self._fetch(statements)
        except FAILURES as error:
            await self._after_failure(error)
            repeat = isinstance(error, NOT_SENT) or (repeatable and _lost(error))
            if not repeat or isinstance(error, TimeoutError):
                raise _unavailable(error, repeatable) from error
        try:
            return await self._fetch(statements)
        except FAILURES as error:
            await self._after_failure(error)
            raise _unavailable(error, repeatable) from error

    async def _after_failure(self, error: Exception) -> None:
        self.on_failure(kind(error))
        # A restart breaks all connections at once: leave none of them for the next try. After a failover the
        # old primary may still be connected, as a read-only standby.
        dead = _lost(error) and not isinstance(error, TimeoutError)
        if dead or isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            await self._open_pool.expire_connections()

    @property
    def _open_pool(self) -> "Pool":
        if self._pool is None:
            raise RuntimeError("Database.open() comes first.")
        return self._pool

    async def _fetch(self, statements: Sequence[Statement]) -> "Sequence[Record]":
        connection = await self._acquire()
        try:
            return await _execute(connection, statements)
        except RuntimeError as error:
            # uvloop's word for writing to a connection that was closed meanwhile.
            raise ConnectionResetError(str(error)) from error
        finally:
            await self._release(connection)

    async def _acquire(self) -> "PooledConnection":
        """Wait for a turn and return a connection. If it raises `Unavailable`, nothing was sent yet."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._turns.acquire()
                try:
                    # The event loop notices connections that the server closed; the pool replaces them.
                    await asyncio.sleep(0)
                    return await self._open_pool.acquire()
                except BaseException:
                    self._turns.release()
                    raise
        except FAILURES as error:
            self.on_failure(kind(error))
            raise Unavailable(explain(error)) from error
        finally:
            self.on_wait(time.perf_counter() - started)

    async def _release(self, connection: "PooledConnection") -> None:
        """Return the connection to the pool. The answer counts even if that fails."""
        try:
            await self._open_pool.release(connection, timeout=CLOSE_SECONDS)
        except (*FAILURES, RuntimeError) as error:
            log.warning("connection not reusable", extra={"fields": {"cause": repr(error)}})
        finally:
            self._turns.release()


async def _execute(connection: "PooledConnection", statements: Sequence[Statement]) -> "Sequence[Record]":
    if len(statements) == 1:
        ((query, values),) = statements
        return await connection.fetch(query, *values)
    rows: Sequence[Record] = []
    async with connection.transaction():
        for query, values in statements:
            rows = await connection.fetch(query, *values)
    return rows


def _lost(error: Exception) -> bool:
    """Return whether the connection is lost, so that a statement's outcome is not known."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return False
    return isinstance(error, (asyncpg.OperatorInterventionError, *LOST))


def _unavailable(error: Exception, repeatable: bool) -> Unavailable:
    unknown = not repeatable and _lost(error) and not isinstance(error, NOT_SENT)
    return Unavailable(explain(error), outcome_unknown=unknown)


def kind(error: Exception) -> str:
    """Return the kind of a failure for the metrics, one of `FAILURE_KINDS`."""
    if isinstance(error, (TimeoutError, asyncpg.QueryCanceledError)):
        return "timeout"
    return "connection" if _lost(error) else "statement"


async def _keep_session(_connection: object) -> None:
    """Skip the session reset, which costs a round trip: no statement here changes the session."""


def explain(error: BaseException) -> str:
    """Return what a database failure means, in a sentence without addresses or secrets."""
    match error:
        case Unavailable():
            return error.reason
        case ssl.SSLCertVerificationError():
            return f"The database's certificate was refused: {error.verify_message}."
        case ssl.SSLError():
            return "The database and the service found no common TLS settings."
        case TimeoutError():
            return "The database did not answer in time."
        case ConnectionRefusedError():
            return "The database refuses connections: nothing listens on its port."
        case ConnectionError() if "rejected SSL upgrade" in str(error):
            return "The database offers no TLS, and DB_SSL=true demands it."
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return "The database does not let the user in: see DB_USER, DB_PASSWORD and DB_SSL."
        case asyncpg.InvalidCatalogNameError():
            return "The database server has no database of that name: see DB_SCHEMA."
        case asyncpg.CannotConnectNowError() | asyncpg.AdminShutdownError() | asyncpg.CrashShutdownError():
            return "The database is starting up or shutting down."
        case asyncpg.TooManyConnectionsError():
            return "The database has no connection left: lower DB_POOL_SIZE or raise its max_connections."
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return "The database lacks the addressbook's tables: run `addressbook migrate`."
        case asyncpg.InsufficientPrivilegeError():
            return f"The database user lacks a right: {error}."
        case asyncpg.ReadOnlySQLTransactionError():
            return "The database takes no changes now: it is read-only."
        case asyncpg.QueryCanceledError():
            return "The database took too long and the statement was cancelled."
        case asyncpg.PostgresError() if not isinstance(error, asyncpg.PostgresConnectionError):
            return f"The database answered with error {error.sqlstate}."
        case OSError() if error.strerror and not isinstance(error, ConnectionError):
            return f"The database cannot be reached: {error.strerror}."
        case _:
            return "The connection to the database was lost."
