"""HTTP/1.1 as clients and proxies speak it, byte by byte."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import asyncpg
import pytest
from addressbook_testing.service import FORM, Service

Environment = dict[str, str]
LIVE = b'{"live":true}'
FORM_HEAD = f"PUT /person HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 28\r\n".encode()
BODY = b"firstName=Ada&lastName=Later"
CHUNKED_HEAD = FORM_HEAD.replace(b"Content-Length: 28", b"Transfer-Encoding: chunked") + b"\r\n"
CHUNKED_BODY = b"1c\r\n" + BODY + b"\r\n0\r\n"
LIVE_HEAD = b"GET /live HTTP/1.1\r\n"


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=20)


def read_all(client: socket.socket) -> bytes:
    answer = b""
    while chunk := client.recv(65536):
        answer += chunk
    return answer


def read_until(client: socket.socket, end: bytes) -> bytes:
    answer = b""
    while not answer.endswith(end):
        chunk = client.recv(65536)
        assert chunk, answer
        answer += chunk
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "starts", "ends"),
    [
        (b"GET /live HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", LIVE),
        (b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n", LIVE),
        (b"GET http://x/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n", LIVE),
        (b"GET /li%76e?q=%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n", LIVE),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 400 ", b"}"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 404 ", b"}"),
        (
            b"GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 ",
            LIVE,
        ),
        (b"HEAD /all HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n"),
        (FORM_HEAD + b"Connection: close\r\n\r\n" + BODY, b"HTTP/1.1 200 OK\r\n", b"}"),
        (
            b"PUT /person HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            *(b"HTTP/1.1 400 ", b"}"),
        ),
    ],
)
def test_one_request_gets_one_answer_and_a_close(
    service: Service, request_bytes: bytes, starts: bytes, ends: bytes
) -> None:
    with connect(service) as client:
        client.sendall(request_bytes)
        answer = read_all(client)
    assert answer.startswith(starts)
    assert answer.endswith(ends)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer
    assert b"\r\ndate: " in answer


def test_request_may_arrive_byte_by_byte(service: Service) -> None:
    with connect(service) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in FORM_HEAD + b"\r\n" + BODY:
            client.send(bytes([byte]))
        assert b'"lastName":"Later"' in read_until(client, b"}")


def test_form_is_asked_for_when_the_client_waits(service: Service) -> None:
    with connect(service) as client:
        client.sendall(FORM_HEAD + b"Expect: 100-continue\r\n\r\n")
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert read_until(client, b"}").startswith(b"HTTP/1.1 200 OK\r\n")
    with connect(service) as client:
        client.sendall(FORM_HEAD.replace(b"PUT /person", b"PUT /nowhere") + b"Expect: 100-continue\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 404 ")  # without having seen the form


def test_pipelined_answers_come_in_order(service: Service) -> None:
    with connect(service) as client:
        client.sendall(b"GET /person/1x HTTP/1.1\r\n\r\n" + FORM_HEAD + b"\r\n" + BODY[:5])
        time.sleep(0.1)
        client.sendall(BODY[5:] + b"GET /live HTTP/1.1\r\n\r\n")
        answer = read_until(client, LIVE)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"400", b"200", b"200"]
    assert b'"lastName":"Later"' in answer


def test_client_that_stops_sending_still_gets_its_answers(service: Service) -> None:
    with connect(service) as client:
        client.sendall(b"GET /all?limit=1 HTTP/1.1\r\n\r\nGET /live HTTP/1.1\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answer.endswith(LIVE)


def test_old_client_gets_a_long_list_without_chunks(service: Service) -> None:
    for number in range(130):
        assert service.put(firstName=f"Long{number}", lastName="List").status == 200
    with connect(service) as client:
        client.sendall(b"GET /all HTTP/1.0\r\n\r\n")
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body == service.get("/all").body


def statuses(answers: bytes) -> list[bytes]:
    return [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/person", 413), ("GET", "/live", 200)])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_large_body_that_arrives_whole_closes_the_connection(
    service: Service, method: str, path: str, status: int, chunked: bool
) -> None:
    body = BODY.ljust(17_000, b"x")
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with connect(service) as client:
        head = f"{method} {path} HTTP/1.1\r\nContent-Type: {FORM}\r\n{framing}\r\n\r\n"
        client.sendall(head.encode() + body)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        (FORM_HEAD + b"\r\n" + BODY + b"\0", [b"200"]),
        (FORM_HEAD + b"\r\n" + BODY + b"x" * 2_000_000, [b"200"]),
        (LIVE_HEAD + b"\r\n" + LIVE_HEAD + b"X: 1\r\n" * 101 + b"\r\n", [b"200"]),
        (LIVE_HEAD + b"\r\n" + FORM_HEAD + b"\r\n" + BODY + b"\0", [b"200", b"200"]),
        (CHUNKED_HEAD + b"nonsense\r\n", [b"400"]),
        (CHUNKED_HEAD + CHUNKED_BODY + b"X: 1\r\n" * 101 + b"\r\n", [b"400"]),
        (LIVE_HEAD + b"\r\n" + CHUNKED_HEAD + b"nonsense\r\n", [b"200", b"400"]),
    ],
    ids=["byte", "megabytes", "head", "second request", "chunk", "trailers", "second request's chunk"],
)
def test_stray_bytes_leave_the_answers_before_them(
    service: Service, requests: bytes, expected: list[bytes]
) -> None:
    began = time.monotonic()
    with connect(service) as client:
        client.sendall(requests)
        answers = read_all(client)
    assert statuses(answers) == expected
    assert answers.count(b"\r\nconnection: close\r\n") == 1
    assert time.monotonic() - began < 5  # nobody waits for the rest of a form


def test_trailers_do_not_become_headers(service: Service) -> None:
    content_type = f"Content-Type: {FORM}\r\n".encode()
    chunked = CHUNKED_HEAD.replace(content_type, b"") + CHUNKED_BODY + content_type + b"\r\n"
    plain = FORM_HEAD.replace(content_type, b"Connection: close\r\n") + b"\r\n" + BODY
    with connect(service) as client:
        client.sendall(chunked + plain)
        assert statuses(read_all(client)) == [b"415", b"415"]


@pytest.fixture
def long_list(database: Environment, sql: Callable[..., list[asyncpg.Record]]) -> Iterator[None]:
    """More persons than the buffers between service and client hold."""
    values = "SELECT repeat('x', 255), repeat('y', 255) FROM generate_series(1, 10000)"
    sql(database, f"INSERT INTO person (first_name, last_name) {values}")
    yield
    sql(database, "DELETE FROM person WHERE first_name = repeat('x', 255)")


@pytest.mark.parametrize("stray", [b"\0", b""], ids=["bytes", "end"])
@pytest.mark.usefixtures("long_list")
def test_connection_closes_after_an_answer_that_was_running(service: Service, stray: bytes) -> None:
    with connect(service) as client:
        client.sendall(b"GET /all HTTP/1.1\r\n\r\n")
        answer = client.recv(1)
        client.sendall(stray)
        if not stray:
            client.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        answer += read_all(client)
    assert answer.endswith(b"]\r\n0\r\n\r\n")


@pytest.mark.usefixtures("long_list")
def test_client_that_resets_is_no_error_of_the_program(
    database: Environment,
    start_service: Callable[[Environment], Service],
    table_lock: Callable[[Environment], AbstractContextManager[Callable[[], bool]]],
) -> None:
    service = start_service(database)
    service.wait_until("/ready")
    with connect(service) as client:
        client.sendall(b"GET /all HTTP/1.1\r\n\r\n")
        assert client.recv(1)
        with table_lock(database) as statement_waits:
            client.settimeout(0.01)
            while not statement_waits():
                with suppress(TimeoutError):
                    client.recv(65536)  # makes room for the next page, which waits for the table
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            for _ in range(3):
                service.get("/live")  # the service has noticed by then
    while not (lines := [line for line in service.log_lines() if line.get("route") == "/all"]):
        time.sleep(0.01)
    assert [line["level"] for line in lines] == ["info"]
    assert '"level":"error"' not in service.output()
