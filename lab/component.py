"""A component of the lab: a long-lived process, where it runs, and its readiness probe."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROBE_SECONDS = 2.0  # longest wait for the answer to one readiness probe

Probe = Callable[[], bool]


def no_probe() -> bool:
    """Probe of a component that is ready as soon as it runs."""
    return True


@dataclass(frozen=True)
class Component:
    """One process under the lab's supervisor."""

    name: str
    command: list[str]
    in_node: bool = True  # in the lab's network namespace; otherwise in the machine's network
    ready: Probe = no_probe
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def answers_http(host: str, port: int, path: str, authority: Path | None = None) -> Probe:
    """Return a probe that requests `path` and expects a 200, over TLS if a certificate authority is given."""

    def probe() -> bool:
        try:
            if authority:
                context = ssl.create_default_context(cafile=str(authority))
                connection = http.client.HTTPSConnection(host, port, timeout=PROBE_SECONDS, context=context)
            else:
                connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    return probe


def counted_since_start(host: str, port: int, metric: str) -> Probe:
    """Return a probe that expects the Prometheus metric of that name to be above zero."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return any(line.startswith(metric) and float(line.rsplit(" ", 1)[1]) > 0 for line in lines)

    return probe


def listens(path: Path) -> Probe:
    """Return a probe that connects to a Unix socket."""

    def probe() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(PROBE_SECONDS)
            try:
                client.connect(str(path))
            except OSError:
                return False
        return True

    return probe
