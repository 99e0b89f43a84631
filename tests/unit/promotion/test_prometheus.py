"""The Prometheus reader against a server that answers as Prometheus does."""

from __future__ import annotations

import json
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.prometheus import Direct, Prometheus, PrometheusError, prometheus_at


def success(kind: str, result: Any) -> tuple[int, str]:
    return 200, json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


ANSWERS: dict[str, tuple[int, str]] = {
    "orders": success("vector", [{"metric": {"track": "canary"}, "value": [1.5, "7"]}]),
    "orders[1m]": success("matrix", []),
    "seconds": success("vector", [{"metric": {}, "histogram": [1.5, {"count": "1", "sum": "2"}]}]),
    "time()": success("scalar", [1.5, "1700000000.5"]),
    "sum(": (400, json.dumps({"status": "error", "errorType": "bad_data", "error": "1:5: parse error"})),
    "moved": (302, ""),
    "private": (401, "who are you?"),
    "late": (503, json.dumps({"status": "error", "error": "query timed out"})),
    "page": (200, "<html>"),
}


#: Path, query and Authorization of each request.
ASKED: list[tuple[str, dict[str, list[str]], str]] = []


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        ASKED.append((path, query, self.headers.get("Authorization", "")))
        status, body = ANSWERS[query["query"][0]]
        if path.endswith("query_range"):
            status, body = success("matrix", [{"metric": {}, "values": [[10, "1"], [25, "NaN"]]}])
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def address() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    ASKED.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}/prometheus"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_instant_query_returns_series(address: str) -> None:
    (series,) = Prometheus(Direct(address, "secret-token")).instant("orders")
    assert (series.labels, dict(series.values)) == ({"track": "canary"}, {1.5: 7})
    assert ASKED == [("/prometheus/api/v1/query", {"query": ["orders"]}, "Bearer secret-token")]


def test_the_token_precedes_the_users_netrc(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password countess\n")
    monkeypatch.setenv("NETRC", str(netrc))
    Prometheus(Direct(address, "secret-token")).instant("orders")
    assert ASKED[0][2] == "Bearer secret-token"


def test_the_servers_clock_is_read(address: str) -> None:
    assert Prometheus(Direct(address)).now() == 1700000000.5


def test_a_range_query_has_a_value_for_each_step(address: str) -> None:
    (series,) = Prometheus(Direct(address)).range("orders", 10, 25, 15)
    assert list(series.values) == [10, 25]
    assert ASKED[0][1] == {"query": ["orders"], "start": ["10.000"], "end": ["25.000"], "step": ["15"]}


@pytest.mark.parametrize(
    ("query", "message", "for_good"),
    [
        ("sum(", r"Prometheus cannot answer `sum\(`: 1:5: parse error", True),
        ("orders[1m]", r"`orders\[1m\]` returns a matrix, not a vector", True),
        ("seconds", "`seconds` returns native histograms", True),
        ("private", r"answers 401: 'who are you\?' \(401\); check prometheusToken", True),
        ("moved", "answers 302", False),
        ("late", r"query timed out \(503\)", False),
        ("page", "answers 200: '<html>'", False),
    ],
)
def test_an_answer_without_series_is_explained(address: str, query: str, message: str, for_good: bool) -> None:
    with pytest.raises(PrometheusError, match=message) as raised:
        Prometheus(Direct(address, "secret-token")).instant(query)
    assert raised.value.for_good is for_good
    assert "secret-token" not in str(raised.value)


def test_an_unreachable_server_is_named_without_its_path() -> None:
    with pytest.raises(PrometheusError, match=r"Prometheus at 127\.0\.0\.1 cannot be reached") as raised:
        Prometheus(Direct("http://127.0.0.1:1/private")).instant("orders")
    assert "private" not in str(raised.value)


class ProxyingCluster:
    """A cluster with a Prometheus behind one Service."""

    def proxied(self, namespace: str, service: str, port: str, method: str, path: str) -> tuple[int, str]:
        if (namespace, service, port) != ("monitoring", "prometheus", "9090"):
            raise UnreachableError(f"Service {service} cannot be reached")
        assert (method, path) == ("GET", "/api/v1/query?query=orders")
        return ANSWERS["orders"]


def test_a_service_is_reached_through_the_api_server() -> None:
    cluster = cast(Cluster, ProxyingCluster())
    assert len(prometheus_at("monitoring/prometheus:9090", "", cluster).instant("orders")) == 1
    with pytest.raises(PrometheusError, match="Prometheus at monitoring/thanos:9090: Service thanos cannot be reached"):
        prometheus_at("monitoring/thanos:9090", "", cluster).instant("orders")
