"""What a verdict reads from a service and asks of it: where its request metrics are, and test requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MetricsPreset = Literal[
    "default", "opentelemetry", "micrometer", "express-prom-bundle", "fastapi-instrumentator", "promhttp", "istio"
]
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


def request_metrics(preset: MetricsPreset, names: Mapping[MetricName, str], path: str) -> RequestMetrics:
    """Return the preset with these names and this path instead of its own."""
    return replace(PRESETS[preset], path=path, **names)


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
