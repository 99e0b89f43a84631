"""Request metrics in Prometheus format, on a separate port."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from addressbook.database import FAILURE_KINDS, Database
from addressbook.settings import Settings

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from a lookup by key on the same machine to the longest possible request."""
METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"})
"""Any other method counts as `OTHER`, so that clients cannot create time series."""


class Metrics:
    """Counters for requests by route (the template, `/person/{id}`), never by path."""

    def __init__(self, settings: Settings, database: Database) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request's head to its answer's end, without waiting for the client, in seconds.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        """Looking a series up by its labels costs more than counting."""
        self.in_progress = 0
        in_progress = Gauge(
            "http_requests_in_progress", "Requests that are being answered.", registry=self.registry
        )
        in_progress.set_function(lambda: self.in_progress)
        wait = Histogram(
            "addressbook_database_wait_seconds",
            "Time that a request waited for a connection to the database, in seconds.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        database.on_wait(wait.observe)
        failures = Counter(
            "addressbook_database_errors_total",
            "Failed attempts by kind, also those that were repeated with success.",
            ["kind"],
            registry=self.registry,
        )
        for kind in FAILURE_KINDS:
            failures.labels(kind)
        database.on_failure = lambda kind: failures.labels(kind).inc()
        build = Gauge(
            "addressbook_build_info",
            "Always 1; its labels say which build runs.",
            ["version", "revision"],
            registry=self.registry,
        )
        build.labels(settings.version, settings.revision).set(1)
        open_connections = Gauge(
            "addressbook_database_connections", "Connections to the database.", registry=self.registry
        )
        open_connections.set_function(lambda: database.connections()[0])
        idle_connections = Gauge(
            "addressbook_database_connections_idle", "Of those, not in use now.", registry=self.registry
        )
        idle_connections.set_function(lambda: database.connections()[1])

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        method = method if method in METHODS else "OTHER"
        series = self._series.get((method, route, status))
        if series is None:
            series = self._requests.labels(method, route, status), self._seconds.labels(method, route)
            self._series[method, route, status] = series
        series[0].inc()
        series[1].observe(seconds)

    def serve(self, address: str, port: int) -> None:
        """Answer scrapes from a thread until the process exits. Raises OSError if the port is in use."""
        start_http_server(port, address, registry=self.registry)
