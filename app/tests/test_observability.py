"""Metrics and logs of requests, without secrets."""

import re
from collections.abc import Callable

import pytest
from addressbook_testing.postgres import PASSWORD
from addressbook_testing.service import FORM, Service, run_command

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
