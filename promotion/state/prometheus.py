"""The one reader of Prometheus: instant and range queries over its HTTP API, directly or through a cluster.

Many systems answer the same API (Thanos, Mimir, VictoriaMetrics, the clouds' managed Prometheus).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlencode, urlsplit

from promotion.errors import CommandError

if TYPE_CHECKING:
    from promotion.state.cluster.cluster import Cluster

#: Timeout of an answer, in seconds.
ANSWER_SECONDS = 10
#: Statuses of a query that Prometheus understands and cannot answer (Prometheus documentation, HTTP API).
BAD_QUERY = (400, 422)


class PrometheusError(Exception):
    """A query has no answer. With ``for_good``, it never will: the query is wrong, or access is refused."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


@dataclass(frozen=True)
class Series:
    """``values`` are by time in Unix seconds: one for an instant query."""

    labels: Mapping[str, str]
    values: Mapping[float, float]


class Transport(Protocol):
    """How requests reach Prometheus."""

    @property
    def where(self) -> str:
        """Its address, for messages."""
        ...

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body. Raises PrometheusError."""
        ...


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus server. Every method raises PrometheusError."""

    transport: Transport

    def instant(self, query: str) -> list[Series]:
        """Return the query's series with their present values."""
        return [_series(query, each, "value") for each in self._ask("query", query, "vector", {})]

    def now(self) -> float:
        """Return the server's clock, in Unix seconds."""
        _, text = self._ask("query", "time()", "scalar", {})
        return float(text)

    def range(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """Return the query's series with a value for each ``step`` seconds from ``start`` to ``end``, both included."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return [_series(query, each, "values") for each in self._ask("query_range", query, "matrix", times)]

    def _ask(self, endpoint: str, query: str, kind: str, options: Mapping[str, str]) -> Sequence[Any]:
        status, text = self.transport.get(f"/api/v1/{endpoint}?{urlencode({'query': query, **options})}")
        try:
            answer = cast(dict[str, Any], json.loads(text))
            if status == 200 and answer["status"] == "success":
                if answer["data"]["resultType"] != kind:
                    raise PrometheusError(
                        f"`{query}` returns a {answer['data']['resultType']}, not a {kind}: write a query that returns"
                        " numbers by series",
                        for_good=True,
                    )
                return cast(Sequence[Any], answer["data"]["result"])
            message = str(answer["error"])
        except (ValueError, LookupError, TypeError):
            message = f"answers {status}: {' '.join(text.split())[:200]!r}"
        if status in BAD_QUERY:
            raise PrometheusError(f"Prometheus cannot answer `{query}`: {message}", for_good=True)
        refused = status in (401, 403)
        remedy = "; check prometheusToken, or the rights on the cluster" if refused else ""
        raise PrometheusError(f"Prometheus at {self.transport.where}: {message} ({status}){remedy}", for_good=refused)


def _series(query: str, document: Mapping[str, Any], key: str) -> Series:
    """Return a series from the value or values at a key, which one of native histograms does not have."""
    if key not in document:
        raise PrometheusError(
            f"`{query}` returns native histograms: write a query that returns numbers, such as histogram_quantile()",
            for_good=True,
        )
    values = [document[key]] if key == "value" else document[key]
    return Series(document["metric"], {float(time): float(text) for time, text in values})


@dataclass(frozen=True)
class Direct:
    """A Prometheus whose address this machine can reach."""

    where: str
    token: str = field(default="", repr=False)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET request. Raises PrometheusError."""
        import requests  # takes 0.2 s to import

        def with_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {self.token}"
            return request

        try:
            answer = requests.get(
                self.where.rstrip("/") + path,
                auth=with_token if self.token else None,  # a header alone would give way to an entry in ~/.netrc
                timeout=ANSWER_SECONDS,
                allow_redirects=False,  # another host must not get the token
            )
        except (requests.RequestException, OSError, ValueError) as error:
            host = urlsplit(self.where).hostname
            raise PrometheusError(f"Prometheus at {host} cannot be reached ({type(error).__name__})") from None
        return answer.status_code, answer.text


@dataclass(frozen=True)
class InCluster:
    """A Prometheus behind a Service, ``NAMESPACE/SERVICE:PORT``, reached through the API server."""

    cluster: Cluster
    where: str

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET request. Raises PrometheusError."""
        namespace, _, name = self.where.partition("/")
        service, _, port = name.partition(":")
        try:
            return self.cluster.proxied(namespace, service, port, "GET", path)
        except CommandError as error:
            raise PrometheusError(f"Prometheus at {self.where}: {error}") from None


def prometheus_at(where: str, token: str, cluster: Cluster) -> Prometheus:
    """Return the Prometheus at an address, or behind a Service ``NAMESPACE/SERVICE:PORT`` of the cluster."""
    return Prometheus(Direct(where, token) if "://" in where else InCluster(cluster, where))


def is_number(value: float | None) -> bool:
    """Return whether a value says something: Prometheus returns NaN and infinities for divisions by zero."""
    return value is not None and math.isfinite(value)
