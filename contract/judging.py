"""What a verdict reads and asks: where requests are counted, queries of Prometheus, and test requests."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MetricsPreset = Literal[
    "default", "opentelemetry", "micrometer", "express-prom-bundle", "fastapi-instrumentator", "promhttp", "istio"
]
#: What counts the users' requests: a gateway, the pods, or Prometheus.
SourceName = Literal["gateway", "pods", "prometheus"]
#: The names that a service may change in a preset.
MetricName = Literal["requests", "durations", "method", "route", "status"]


@dataclass(frozen=True)
class RequestMetrics:
    """Where a pod counts its requests, in Prometheus' text format.

    ``requests`` is the sample that counts them, ``durations`` the histogram of their times, in seconds unless its name
    says milliseconds. ``method``, ``route`` and ``status`` are labels; a service may have no label for method and
    route. ``only`` are the labels of the samples that count.
    """

    requests: str = "http_requests_total"
    durations: str = "http_request_duration_seconds"
    method: str = "method"
    route: str = "route"
    status: str = "status"
    only: Mapping[str, str] = field(default_factory=dict[str, str])
    path: str = "/metrics"

    @property
    def seconds(self) -> float:
        """Seconds in the histogram's unit."""
        return 0.001 if self.durations.endswith("milliseconds") else 1.0

    @property
    def is_histogram(self) -> bool:
        """Whether the histogram itself counts the requests, so that its buckets have a status too."""
        return self.requests == f"{self.durations}_count"


def _of_histogram(name: str, method: str, route: str, status: str) -> RequestMetrics:
    """Return metrics whose only source is a histogram with all three labels."""
    return RequestMetrics(f"{name}_count", name, method, route, status)


#: Names as these libraries have them by default: OpenTelemetry's semantic conventions for HTTP metrics, as its
#: Prometheus exporter writes them; Spring Boot's Micrometer (needs percentiles-histogram); express-prom-bundle with
#: includeMethod and includePath; prometheus-fastapi-instrumentator, whose status is 2xx to 5xx; Go's promhttp with its
#: labels `code` and `method`; Istio's sidecar, which counts what the pod receives and what it sends.
PRESETS: Mapping[MetricsPreset, RequestMetrics] = {
    "default": RequestMetrics(),
    "opentelemetry": _of_histogram(
        "http_server_request_duration_seconds", "http_request_method", "http_route", "http_response_status_code"
    ),
    "micrometer": _of_histogram("http_server_requests_seconds", "method", "uri", "status"),
    "express-prom-bundle": _of_histogram("http_request_duration_seconds", "method", "path", "status_code"),
    "fastapi-instrumentator": RequestMetrics(route="handler"),
    "promhttp": RequestMetrics(route="handler", status="code"),
    "istio": RequestMetrics(
        *("istio_requests_total", "istio_request_duration_milliseconds"),
        *("request_method", "request_path", "response_code"),
        only={"reporter": "destination"},
    ),
}


#: Traefik's counters for each backend (`--metrics.prometheus.addserviceslabels`). It knows no routes. WebSockets and
#: event streams last as long as users stay, and gRPC has a status of its own, so only plain HTTP counts.
TRAEFIK_METRICS = RequestMetrics(
    *("traefik_service_requests_total", "traefik_service_request_duration_seconds"),
    *("method", "", "code"),
    only={"protocol": "http"},
)


def request_metrics(preset: MetricsPreset, names: Mapping[MetricName, str], path: str) -> RequestMetrics:
    """Return the preset with these names and this path instead of its own."""
    return replace(PRESETS[preset], path=path, **names)


#: Placeholders in a query. Any other dollar sign stays: it may end a regular expression.
_PLACEHOLDER = re.compile(r"\$(track|service|namespace)\b")
_SHARE = re.compile(r"^([0-9]+(?:\.[0-9]+)?) ?%$")


def filled(query: str, track: str, service: str, namespace: str) -> str:
    """Return a query, or a part of one, with its placeholders filled in."""
    values = {"track": track, "service": service, "namespace": namespace}
    return _PLACEHOLDER.sub(lambda name: values[name[1]], query)


class QueryCheck(BaseModel):
    """A figure that ``verdict`` asks Prometheus for, of each track, and compares.

    ``limit`` is how much worse the canary's mean may be: a number in the figure's unit, or a percentage of stable's.
    ``every`` is the time between two values, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w .-]{0,39}$")]
    query: str
    better: Literal["lower", "higher"]
    limit: float | str
    every: Annotated[int, Field(ge=1, le=3600)] = 15

    @field_validator("query")
    @classmethod
    def _require_the_track(cls, query: str) -> str:
        if not re.search(r"\$track\b", query):
            raise ValueError(
                "has no `$track`, so both tracks would get the same answer: select the track's series by it"
            )
        return query

    @field_validator("limit")
    @classmethod
    def _require_a_limit(cls, limit: float | str) -> float | str:
        if not any(math.isfinite(each) and each > 0 for each in _limits(limit)):
            raise ValueError("must be a number above 0, in the unit of the query, or a percentage such as 10%")
        return limit

    @property
    def absolute(self) -> float:
        """The limit in the figure's unit; 0 if it is a percentage."""
        return _limits(self.limit)[0]

    @property
    def share(self) -> float:
        """The limit as a share of stable's figure (0 to 1 and more); 0 if it is a number."""
        return _limits(self.limit)[1]


def _limits(limit: float | str) -> tuple[float, float]:
    """Return the limit as a number and as a share, of which one is 0; both if it is neither."""
    if isinstance(limit, str) and (share := _SHARE.match(limit)):
        return 0.0, float(share[1]) / 100
    try:
        return float(limit), 0.0
    except ValueError:
        return 0.0, 0.0


class TestRequest(BaseModel):
    """A request that ``verdict`` sends to the canary, and the answer that it expects."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    __test__ = False  # not a test class, whatever its name says to pytest

    send: Annotated[str, Field(pattern=r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /\S*$")]
    form: dict[str, str] | None = None
    body: Any = None
    status: Annotated[int, Field(ge=100, le=599)] = 200
    answer: dict[str, Any] = {}
    save: list[str] = []

    @model_validator(mode="after")
    def _require_a_method_with_content(self) -> Self:
        method = self.send.partition(" ")[0]
        if self.form is not None and self.body is not None:
            raise ValueError("has both a form and a body: leave one of them out")
        if self.form is not None and method not in ("POST", "PUT", "PATCH"):
            raise ValueError(f"a {method} request sends no form: use POST, PUT or PATCH, or write it into the path")
        if self.body is not None and method in ("GET", "HEAD"):
            raise ValueError(f"a {method} request sends no body: use another method, or leave the body out")
        return self
