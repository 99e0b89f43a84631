"""Runs the service in one process until it is told to stop, then drains it."""

import errno
import logging
import signal
import socket
from types import FrameType

import uvicorn
from starlette.routing import Route

from addressbook.api import create_app
from addressbook.connection import LimitedProtocol, ProbesFirst
from addressbook.database import Database
from addressbook.drain import Drain
from addressbook.metrics import Metrics
from addressbook.observation import Observation
from addressbook.settings import Settings
from addressbook.unread import UnreadBody

KEEP_ALIVE_SECONDS = 75
"""Longer than the usual 60 s of load balancers, which must close idle connections first."""
LAST_REQUESTS_SECONDS = 5
"""Time for running requests to finish after the drain's time limit."""
BACKLOG = 1024
NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
SEND_BUFFER_BYTES, RECEIVE_BUFFER_BYTES = 64 * 1024, 32 * 1024
"""The kernel's buffers count towards a pod's memory limit, and would grow to megabytes a connection."""
SAFE_HEADERS = [("x-content-type-options", "nosniff"), ("cache-control", "no-store")]

log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Uvicorn, but SIGTERM starts a drain; SIGINT or a second SIGTERM stops at once."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain
        self._listening = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a signal handler)
        if sig == signal.SIGTERM and not self._drain.started:
            self._drain.begin()
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        self._drain.watch(len(self.server_state.connections))
        if self._listening and not self._drain.accepting():
            self._listening = False
            for server in self.servers:
                server.close()
        return await super().on_tick(counter) or self._drain.over()


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
    # One of the process's connections is for readiness.
    database = Database(settings.database, max(settings.pool_size - 1, 1))
    metrics = Metrics(settings, database)
    metrics.serve(listener.getsockname()[0], settings.metrics_port)
    drain = Drain(settings.drain_seconds)
    app = create_app(database, Database(settings.database, pool_size=1))
    templates = {route.endpoint: route.path for route in app.routes if isinstance(route, Route)}
    config = uvicorn.Config(
        UnreadBody(Observation(ProbesFirst(app), templates, metrics, drain)),
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=SAFE_HEADERS,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
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
    DrainingServer(config, drain).run(sockets=[listener])
    log.info("stopped")
