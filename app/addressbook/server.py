"""Runs the service in one process until it is told to stop, then drains it."""

import asyncio
import errno
import logging
import signal
import socket
from typing import TYPE_CHECKING

import uvloop

from addressbook.api import Api
from addressbook.clients import Clients
from addressbook.connection import Connection
from addressbook.database import Database
from addressbook.drain import Drain
from addressbook.metrics import Metrics
from addressbook.observation import Observation
from addressbook.persons import Persons
from addressbook.readiness import Readiness
from addressbook.settings import Settings

LAST_REQUESTS_SECONDS = 5.0
"""Time for running requests to finish after the drain's time limit."""
TICK_SECONDS = 0.1
BACKLOG = 1024
NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
SEND_BUFFER_BYTES, RECEIVE_BUFFER_BYTES = 64 * 1024, 32 * 1024
"""The kernel's buffers count towards a pod's memory limit, and would grow to megabytes a connection."""

if TYPE_CHECKING:
    from addressbook.telemetry import Traces

log = logging.getLogger(__name__)


class Stop:
    """What signals ask for: SIGTERM a drain, SIGINT or a second SIGTERM an end at once."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.at_once = False
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def _terminate(self) -> None:
        if self.drain.started:
            self.at_once = True
        else:
            self.drain.begin()

    def _interrupt(self) -> None:
        self.at_once = True


def listen(address: str, port: int) -> socket.socket:
    """Return the listening socket. `::` means all addresses, of IPv6 too if the machine has it."""
    if address == "::":
        try:
            return socket.create_server(
                (address, port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in NO_IPV6:
                raise
            address = "0.0.0.0"  # noqa: S104 (a container is reached from outside)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=BACKLOG)


def serve(settings: Settings) -> None:
    """Serve until a signal. Raises OSError if a port is in use."""
    listener = listen(settings.listen_address, settings.port)
    # Accepted connections inherit these.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    traces = _traces(settings)
    database = Database(settings.database, size=settings.pool_size - 1, spans=traces)  # and one for readiness
    metrics = Metrics(settings, database)
    metrics.serve(listener.getsockname()[0], settings.metrics_port)
    log.info(
        "serving",
        extra={
            "fields": {
                "environment": settings.environment,
                "version": settings.version,
                "revision": settings.revision,
                "port": settings.port,
                "metrics_port": settings.metrics_port,
            }
        },
    )
    uvloop.run(_serve(listener, settings, database, metrics, traces))
    log.info("stopped")


def _traces(settings: Settings) -> "Traces | None":
    if not settings.traces:
        return None
    from addressbook.telemetry import Traces  # takes memory, and time to start

    return Traces(settings)


async def _serve(
    listener: socket.socket,
    settings: Settings,
    database: Database,
    metrics: Metrics,
    traces: "Traces | None",
) -> None:
    # Load on `database` makes the process slow, not unready.
    probe = Database(settings.database, size=1)
    clients = Clients(Observation(Api(Persons(database), Readiness(Persons(probe))), metrics, traces))
    stop = Stop(Drain(settings.drain_seconds))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(clients), sock=listener, backlog=BACKLOG)
    while not (stop.at_once or stop.drain.over()):
        await asyncio.sleep(TICK_SECONDS)
        clients.tick()
        clients.draining = stop.drain.started
        stop.drain.watch(len(clients.open))
        if not stop.drain.accepting():
            server.close()
    server.close()
    await _end(clients)
    await asyncio.gather(database.close(), probe.close(), *([traces.close()] if traces else []))


async def _end(clients: Clients) -> None:
    """Let running requests finish, and close all connections."""
    clients.draining = True
    clients.close_idle()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LAST_REQUESTS_SECONDS
    while any(client.answering for client in clients.open) and loop.time() < deadline:
        await asyncio.sleep(TICK_SECONDS / 10)
    clients.cancel()
