"""OpenTelemetry: traces reach a collector, and without one nothing is slower, larger or lost."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from addressbook_testing.service import Service, run_command
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from test_limits import assert_unharmed

Environment = dict[str, str]
Start = Callable[[Environment], Service]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REQUESTS = 300
SMALL_QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": "50", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}


class Collector(ThreadingHTTPServer):
    """An OTLP receiver on a free loopback port, as the specification describes it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.exports: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.exports.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)

    def spans(self) -> list[Span]:
        return [
            span
            for export in list(self.exports)
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def environment(self) -> Environment:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def attributes(span: Span) -> dict[str, str | int]:
    return {
        each.key: each.value.string_value or each.value.int_value  # pyright: ignore[reportAttributeAccessIssue]
        for each in span.attributes
    }


def test_requests_and_statements_are_traced(
    database: Environment, start_service: Start, collector: Collector
) -> None:
    service = start_service({**database, **collector.environment, "VERSION": "1.2.3"})
    service.wait_until("/ready")
    parent = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=value"}
    service.request("GET", "/person/999999999", headers=parent)
    service.request("GET", "/person/1", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})  # not sampled
    service.get("/nowhere")
    service.terminate()
    assert service.process.wait(30) == 0

    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"GET /person/{id}", "SELECT person", "GET"}
    request, statement = spans["GET /person/{id}"], spans["SELECT person"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert request.kind == Span.SpanKind.SPAN_KIND_SERVER
    assert request.trace_state == "vendor=value"
    assert request.status.code == Status.STATUS_CODE_UNSET
    assert attributes(request) == {
        "http.request.method": "GET",
        "http.route": "/person/{id}",
        "http.response.status_code": 404,
        "url.path": "/person/999999999",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    assert (statement.trace_id.hex(), statement.parent_span_id) == (TRACE, request.span_id)
    assert statement.kind == Span.SpanKind.SPAN_KIND_CLIENT
    known = attributes(statement)
    assert (known["db.system.name"], known["server.port"]) == ("postgresql", int(database["DB_PORT"]))
    assert "WHERE id = $1" in str(known["db.query.text"])
    resource = {
        a.key: a.value.string_value for a in collector.exports[0].resource_spans[0].resource.attributes
    }
    assert (resource["service.name"], resource["service.version"]) == ("addressbook", "1.2.3")
    assert resource["deployment.environment.name"] == "test"

    lines = [line for line in service.log_lines() if line["message"] == "request"]
    assert (lines[0]["trace_id"], lines[0]["span_id"], lines[0]["parent_id"]) == (
        *(TRACE, request.span_id.hex(), PARENT),
    )
    assert (lines[2]["trace_id"], "parent_id" in lines[2]) == (spans["GET"].trace_id.hex(), False)


def test_failed_statements_are_marked_without_values(
    empty_database: Environment, start_service: Start, collector: Collector
) -> None:
    service = start_service({**empty_database, **collector.environment})
    service.wait_until("/live")
    assert service.put(firstName="Grace", lastName="Hopper").status == 503  # there is no table
    service.terminate()
    assert service.process.wait(30) == 0
    spans = {span.name: span for span in collector.spans()}
    for name, cause in (("PUT /person", "503"), ("INSERT person", "UndefinedTableError")):
        assert spans[name].status.code == Status.STATUS_CODE_ERROR
        assert attributes(spans[name])["error.type"] == cause
    assert "Hopper" not in str(collector.exports)


@contextmanager
def dead_collector(hangs: bool) -> Iterator[Environment]:
    """Yield the address of a collector that refuses connections, or takes them and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        port = listener.getsockname()[1]
        if not hangs:
            listener.close()
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "10"}


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
def test_dead_collector_harms_no_request(database: Environment, start_service: Start, hangs: bool) -> None:
    with dead_collector(hangs) as where:
        service = start_service({**database, **where, **SMALL_QUEUE})
        service.wait_until("/ready")
        assert {service.get("/person/1x").status for _ in range(REQUESTS)} == {400}
        assert any("Queue full" in str(line["message"]) for line in service.log_lines())
        assert_unharmed(service)
        service.terminate()
        assert service.process.wait(30) == 0


def test_without_the_variables_nothing_is_loaded(service: Service, database: Environment) -> None:
    assert "protobuf" not in Path(f"/proc/{service.process.pid}/maps").read_text()
    for variables in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        refused = {
            **database,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        }
        assert run_command("ping", environment={**refused, **variables}).returncode == 0


def test_traces_over_grpc_are_refused(database: Environment) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    refused = run_command("ping", environment={**database, **variables})
    assert refused.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', not one of http/protobuf" in refused.stderr
