"""Metrics and logs of requests, without secrets."""

import asyncio
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from addressbook_testing.postgres import PASSWORD
from addressbook_testing.service import FORM, Service, run_command

from addressbook.clients import Clients
from addressbook.connection import Connection
from addressbook.database import Database
from addressbook.exchange import Answer, Request
from addressbook.metrics import Metrics
from addressbook.observation import Observation
from addressbook.settings import Settings
from addressbook.tracing import identify

Environment = dict[str, str]
Start = Callable[[Environment], Service]


@pytest.fixture
def fresh(database: Environment, start_service: Start) -> Service:
    service = start_service({**database, "LOG_LEVEL": "DEBUG", "VERSION": "1.2.3", "REVISION": "abc123"})
    service.wait_until("/ready")
    return service


def value(metrics: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", metrics, re.M)
    return float(found[1]) if found else 0.0


def settle(service: Service) -> None:
    """Wait until a request is recorded, which happens after its answer: one more request is enough."""
    service.get("/all")


def test_requests_are_counted_by_method_route_and_status(fresh: Service) -> None:
    fresh.get("/person/1x")
    fresh.get("/person/2x")
    fresh.get("/nowhere?secret=1")
    fresh.request("PURGE", "/all")
    fresh.get("/live")
    settle(fresh)
    metrics = fresh.metrics()
    assert value(metrics, 'http_requests_total{method="GET",route="/person/{id}",status="400"}') == 2
    assert value(metrics, 'http_requests_total{method="GET",route="unmatched",status="404"}') == 1
    assert value(metrics, 'http_requests_total{method="OTHER",route="/all",status="405"}') == 1
    assert value(metrics, 'http_requests_total{method="GET",route="/live",status="200"}') == 1
    assert value(metrics, 'http_requests_total{method="GET",route="/ready",status="200"}') >= 1
    assert value(metrics, 'http_request_duration_seconds_count{method="GET",route="/person/{id}"}') == 2
    assert value(metrics, 'addressbook_build_info{revision="abc123",version="1.2.3"}') == 1
    assert value(metrics, "addressbook_database_connections") == 1
    assert value(metrics, "process_resident_memory_bytes") > 0


def test_requests_are_identified_in_the_logs(fresh: Service) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    headers = {"X-Request-ID": "my-request.1", "traceparent": f"00-{trace}-{parent}-01"}
    answer = fresh.request("GET", "/person/1x", headers=headers)
    assert answer.headers["x-request-id"] == "my-request.1"
    made_up = fresh.request("GET", "/person/2x", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    settle(fresh)
    first, second = [line for line in fresh.log_lines() if line.get("route") == "/person/{id}"]
    assert (first["request_id"], first["trace_id"], first["parent_id"]) == ("my-request.1", trace, parent)
    assert second["request_id"] == made_up
    assert re.fullmatch("[0-9a-f]{16}", made_up)
    assert "trace_id" not in second


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_invalid_traceparent_is_ignored(traceparent: str) -> None:
    assert set(identify([(b"traceparent", traceparent.encode())])) == {"request_id"}


def test_later_traceparent_versions_are_read() -> None:
    value = b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings"
    assert identify([(b"traceparent", value)])["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_duration_leaves_out_the_clients_slow_form(fresh: Service) -> None:
    body = b"firstName=Slow&lastName=Client"
    head = f"PUT /person HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", fresh.port), timeout=30) as client:
        client.sendall(head.encode())
        while value(fresh.metrics(), "http_requests_in_progress") < 1:
            pass
        time.sleep(1)
        client.sendall(body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        whole = time.perf_counter() - started
    settle(fresh)
    seconds = value(fresh.metrics(), 'http_request_duration_seconds_sum{method="PUT",route="/person"}')
    assert 0 < seconds <= whole - 1
    assert value(fresh.metrics(), "http_requests_in_progress") == 0


def test_pool_wait_and_database_errors_are_metrics(fresh: Service) -> None:
    fresh.get("/all")
    settle(fresh)
    metrics = fresh.metrics()
    assert value(metrics, "addressbook_database_wait_seconds_count") >= 2
    for kind in ("timeout", "connection", "statement"):
        assert f'addressbook_database_errors_total{{kind="{kind}"}} 0.0' in metrics


def test_metrics_are_not_on_the_public_port(fresh: Service) -> None:
    assert fresh.get("/metrics").status == 404


def test_each_request_logs_one_json_line(fresh: Service) -> None:
    fresh.put(firstName="Grace", lastName="Hopper")
    fresh.get("/nowhere?token=hidden-query")
    settle(fresh)
    lines = [line for line in fresh.log_lines() if line.get("route") != "/all"]
    put, missing = lines[-2:]
    assert (put["level"], put["method"], put["route"], put["path"], put["status"]) == (
        *("info", "PUT", "/person", "/person", 200),
    )
    assert isinstance(put["milliseconds"], float)
    assert (missing["route"], missing["status"]) == ("unmatched", 404)
    assert (lines[1]["route"], lines[1]["level"]) == ("/ready", "debug")
    output = fresh.output()
    for private in ("hidden-query", "Hopper", PASSWORD):
        assert private not in output


def test_only_failed_probes_are_logged(database: Environment, start_service: Start) -> None:
    service = start_service(database)
    service.wait_until("/ready")
    service.get("/live")
    service.get("/live")
    assert [line["message"] for line in service.log_lines()] == ["serving"]


def test_refused_password_is_not_logged(database: Environment, start_service: Start) -> None:
    service = start_service({**database, "DB_PASSWORD": "wr0ng-s3cret", "LOG_LEVEL": "DEBUG"})
    service.wait_until("/ready", 500)
    answer = service.request("PUT", "/person", b"firstName=A&lastName=B", {"Content-Type": FORM})
    assert answer.status == 503
    assert "wr0ng-s3cret" not in answer.error
    settle(service)
    output = service.output()
    assert "does not let the user in" in output
    assert "wr0ng-s3cret" not in output


def test_port_in_use_is_reported(service: Service) -> None:
    result = run_command("serve", environment=service.environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Can't listen on 127.0.0.1, ports {service.port} and ")
    assert "Traceback" not in result.stderr


def test_request_that_cannot_be_traced_gets_500() -> None:
    names = ("DB_HOST", "DB_SCHEMA", "DB_USER", "DB_PASSWORD")
    settings = Settings.read(dict.fromkeys(names, "x"))
    metrics = Metrics(settings, Database(settings.database, size=1))

    spans: Any = Mock()
    spans.begin.side_effect = RuntimeError("spans")
    observation = Observation(AsyncMock(), metrics, spans)
    request = Request("GET", "/all", "", [])
    answer = asyncio.run(observation.answer(request))
    assert answer.status == 500
    assert metrics.in_progress == 1
    observation.done(request, answer, None)
    assert metrics.in_progress == 0


def test_connection_outlives_a_request_that_is_not_recorded() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        failures: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _loop, context: failures.append(context))
        application: Any = AsyncMock()
        application.answer.return_value = Answer.of({"live": True})
        application.done = Mock(side_effect=RuntimeError("record"))
        clients = Clients(application)
        async with await loop.create_server(lambda: Connection(clients), "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for _ in range(2):
                writer.write(b"GET /live HTTP/1.1\r\n\r\n")
                async with asyncio.timeout(10):
                    await reader.readuntil(b'{"live":true}')
            await asyncio.sleep(0)
            assert len(clients.idle) == 1
            writer.close()
        assert {str(each["exception"]) for each in failures} == {"record"}

    asyncio.run(run())
