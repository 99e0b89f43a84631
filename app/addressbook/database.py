"""The database: statements in, rows out, and what its failures mean to a person."""

import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import asyncpg

from addressbook.sessions import Sessions, Statement
from addressbook.settings import DatabaseSettings
from addressbook.tracing import Spans

if TYPE_CHECKING:
    from addressbook.sessions import Connection, Record

CONNECT_SECONDS = 3.0
"""A database that does not answer must not keep a user waiting longer than a page load."""
STATEMENT_SECONDS = 5.0
"""Far above the slowest statement (all persons), far below a proxy's usual 30 s."""
LEAST_SECONDS = 0.1
"""For a connection that a request may open after it waited in vain for another one."""
CLOSE_SECONDS = 2.0

LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""The connection was lost (TLS failures and timeouts are OSErrors too).

asyncpg raises InternalClientError if the server's last message meets a statement that is just being sent.
"""
OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
"""A migration changed what the statement was prepared for, so it did not run."""
NOT_DONE = (asyncpg.InterfaceError, *OUTDATED)
"""Nothing was changed.

An InterfaceError means that asyncpg refused to use the connection, so the statement was not sent (or its
transaction not committed).
"""
FAILURES = (asyncpg.PostgresError, *LOST)

FAILURE_KINDS = ("timeout", "connection", "statement")


class Unavailable(Exception):
    """The database cannot answer now; `reason` is a sentence for the operator, without secrets."""

    def __init__(self, reason: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome_unknown = outcome_unknown
        """True if a change was sent but its answer was lost: it may have been stored."""


async def connect(
    settings: DatabaseSettings, seconds: float = CONNECT_SECONDS, **server_settings: str
) -> "Connection":
    """Open one connection. Raises one of `FAILURES`."""
    return await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
        ssl=settings.tls or False,
        timeout=max(seconds, LEAST_SECONDS),
        command_timeout=STATEMENT_SECONDS,
        server_settings={"application_name": "addressbook", **server_settings},
    )


class Database:
    """The database as the service uses it. It may be down when this is created.

    A connection that died (restart, failover) is replaced at its next use. A statement is repeated once if it
    was not sent, or if repeating it can't change anything.
    """

    def __init__(self, settings: DatabaseSettings, size: int, spans: Spans | None = None) -> None:
        self._settings = settings
        self._spans = spans
        self._sessions = Sessions(self._connect, size, CONNECT_SECONDS)
        self.on_failure: Callable[[str], None] = lambda _kind: None
        """Called with the kind of each failure, also of those that a repetition hid from the user."""

    def on_wait(self, observe: Callable[[float], None]) -> None:
        """Call `observe` with the seconds that each request waits for a connection."""
        self._sessions.on_wait = observe

    async def close(self) -> None:
        await self._sessions.close(CLOSE_SECONDS)

    def connections(self) -> tuple[int, int]:
        """Return how many connections are open, and how many of these are idle."""
        return self._sessions.count()

    async def read(self, query: str, *values: object) -> "Sequence[Record]":
        """Return the rows of a read-only query; repeat it once if the connection was dead."""
        return await self._run([(query, values)], repeatable=True)

    async def write(self, query: str, *values: object) -> "Sequence[Record]":
        """Return the rows of a statement that changes data; repeat it once if it was not sent."""
        return await self._run([(query, values)], repeatable=False)

    async def write_together(self, statements: Sequence[Statement]) -> "Sequence[Record]":
        """Run several statements in one transaction; return the last one's rows."""
        return await self._run(statements, repeatable=False)

    async def _connect(self, seconds: float) -> "Connection":
        return await connect(self._settings, seconds, statement_timeout=f"{STATEMENT_SECONDS:.0f}s")

    async def _run(self, statements: Sequence[Statement], *, repeatable: bool) -> "Sequence[Record]":
        try:
            return await self._execute(statements)
        except FAILURES as error:
            self._after_failure(error)
            repeat = isinstance(error, NOT_DONE) or (repeatable and _lost(error))
            if not repeat or isinstance(error, TimeoutError):
                raise _unavailable(error, repeatable) from error
        try:
            return await self._execute(statements)
        except FAILURES as error:
            self._after_failure(error)
            raise _unavailable(error, repeatable) from error

    def _after_failure(self, error: Exception) -> None:
        self.on_failure(kind(error))
        # A restart breaks all connections at once, and a migration their prepared statements: leave none of
        # them for the next try. After a failover the old primary may still be connected, as a standby.
        dead = _lost(error) and not isinstance(error, TimeoutError)
        if dead or isinstance(error, (asyncpg.ReadOnlySQLTransactionError, *OUTDATED)):
            self._sessions.expire()

    async def _execute(self, statements: Sequence[Statement]) -> "Sequence[Record]":
        try:
            session = await self._sessions.lend()
        except FAILURES as error:  # nothing was sent yet
            self.on_failure(kind(error))
            raise Unavailable(explain(error)) from error
        try:
            if self._spans is None:
                rows = await session.execute(statements)
            else:
                with self._spans.statement(statements[-1][0]):
                    rows = await session.execute(statements)
        except BaseException as error:
            # It may be dead, in the middle of an answer, or prepared for another schema.
            self._sessions.discard(session)
            if isinstance(error, RuntimeError):
                # uvloop's word for writing to a connection that was closed meanwhile.
                raise ConnectionResetError(str(error)) from error
            raise
        self._sessions.give_back(session)
        return rows


def _lost(error: Exception) -> bool:
    """Return whether the connection is lost, so that a statement's outcome is not known."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return False
    return isinstance(error, (asyncpg.OperatorInterventionError, *LOST))


def _unavailable(error: Exception, repeatable: bool) -> Unavailable:
    unknown = not repeatable and _lost(error) and not isinstance(error, NOT_DONE)
    return Unavailable(explain(error), outcome_unknown=unknown)


def kind(error: Exception) -> str:
    """Return the kind of a failure for the metrics, one of `FAILURE_KINDS`."""
    if isinstance(error, (TimeoutError, asyncpg.QueryCanceledError)):
        return "timeout"
    return "connection" if _lost(error) else "statement"


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
