"""What one client can make the process hold or wait for is limited, within a pod's memory limit."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from addressbook_testing.service import FORM, Service, run_command

from addressbook.connection import MAX_CONNECTIONS, MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED

Environment = dict[str, str]
Start = Callable[..., Service]
Sql = Callable[..., list[asyncpg.Record]]
MEMORY_LIMIT = 256 * 1024 * 1024
"""Bytes: default of the config key `memoryLimit`."""
HEAD = b"GET /live HTTP/1.1\r\nHost: x\r\n"
SECONDS = 120


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=SECONDS) as client:
        yield client


def live(client: socket.socket) -> None:
    """Request `/live` and read the whole answer."""
    client.sendall(HEAD + b"\r\n")
    answer = b""
    while not answer.endswith(b'{"live":true}'):
        chunk = client.recv(65536)
        assert chunk
        answer += chunk


def received(client: socket.socket) -> bytes:
    """Return everything until the service closes the connection."""
    answer = b""
    with suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            answer += chunk
    return answer


def send_forever(client: socket.socket, start: bytes, endless: bytes) -> bytes:
    """Send `start`, then `endless` again and again until the service stops reading; return its answer."""
    client.sendall(start)
    sent = 0
    client.settimeout(0.2)
    answer = b""
    while sent < 2 * MEMORY_LIMIT and not answer:
        try:
            sent += client.send(endless)
            client.setblocking(False)
            with suppress(BlockingIOError):
                answer = client.recv(65536)
            client.settimeout(0.2)
        except TimeoutError:
            continue
        except OSError:
            break
    assert sent < 2 * MEMORY_LIMIT
    client.settimeout(SECONDS)
    return answer


def peak_memory(service: Service) -> int:
    """Return the largest resident size so far, in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # pyright: ignore[reportOptionalSubscript]


def assert_unharmed(service: Service) -> None:
    assert service.get("/live").status == 200
    assert peak_memory(service) < MEMORY_LIMIT


@pytest.fixture
def fresh(database: Environment, start_service: Start) -> Service:
    service = start_service(database)
    service.wait_until("/ready")
    return service


@pytest.mark.parametrize(
    ("start", "endless", "status"),
    [
        (HEAD + b"X-Endless: ", b"x" * 65536, 431),
        (HEAD, b"X-Header: 1\r\n" * 5000, 431),
        (b"GET /", b"x" * 65536, 431),
        (b"\r\n", b"\r\n" * 32768, 431),
        (b"PUT /person HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"x" * 65536, 0),
        (b"PUT /person HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", b"x" * 65536, 0),
        (b"", HEAD + b"\r\n" + b"GET /all HTTP/1.1\r\nHost: x\r\n\r\n" * 2000, 0),
    ],
    ids=["header", "headers", "request line", "empty lines", "trailer", "chunk extension", "pipeline"],
)
def test_endless_heads_are_refused(fresh: Service, start: bytes, endless: bytes, status: int) -> None:
    with connected(fresh) as client:
        answer = send_forever(client, start, endless)
        assert answer.startswith(b"HTTP/1.1 %d " % status if status else b"")
    assert_unharmed(fresh)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD + b"X: " + b"x" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n", 200),
        (HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /live?" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431),
        (HEAD + b"X: 1\r\n" * (MAX_HEADERS - 1) + b"\r\n", 200),
        (HEAD + b"X: 1\r\n" * MAX_HEADERS + b"\r\n", 431),
    ],
)
def test_head_limits_are_exact(service: Service, head: bytes, status: int) -> None:
    with connected(service) as client:
        client.sendall(head)
        client.shutdown(socket.SHUT_WR)
        answer = received(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    if status == 431:
        assert b"\r\nconnection: close\r\n" in answer
        assert b'\r\n\r\n{"error":"The request' in answer


def test_late_heads_are_refused(database: Environment, start_service: Start) -> None:
    service = start_service(database, HEAD_SECONDS=2)
    service.wait_until("/ready")
    with connected(service) as silent, connected(service) as slow, connected(service) as second:
        slow.sendall(HEAD)
        live(second)
        second.sendall(HEAD)
        assert received(silent) == b""
        for client in (slow, second):
            assert received(client).startswith(b"HTTP/1.1 408 ")


def test_waiting_pipelined_requests_are_limited(
    database: Environment, start_service: Start, sql: Sql
) -> None:
    service = start_service(database)
    service.wait_until("/ready")
    with connected(service) as client:
        client.sendall((HEAD + b"\r\n") * (MAX_PIPELINED + 1))
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") <= MAX_PIPELINED:
            answers += client.recv(65536)
    with connected(service) as client:
        client.sendall((HEAD + b"\r\n") * (MAX_PIPELINED + 2))
        client.shutdown(socket.SHUT_WR)
        assert received(client).count(b"HTTP/1.1 200 ") == MAX_PIPELINED + 1


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("PUT /person", 413),
        ("GET /live", 200),
        ("GET /nowhere", 404),
        ("POST /all", 405),
        ("DELETE /person/x", 400),
    ],
)
def test_answer_before_the_body_closes_the_connection(
    database: Environment, start_service: Start, request_line: str, status: int
) -> None:
    service = start_service(database, LINGER_SECONDS=1)
    service.wait_until("/ready")
    head = f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 9000000000\r\n\r\n"
    with connected(service) as client:
        answer = send_forever(client, head.encode(), b"x" * 65536)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nconnection: close\r\n" in answer
        with pytest.raises(OSError):  # reset or broken pipe
            while True:
                client.sendall(b"x" * 65536)
    assert_unharmed(service)


def test_body_that_was_read_keeps_the_connection(service: Service) -> None:
    body = b"firstName=Kept&lastName=Alive"
    head = f"PUT /person HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    with connected(service) as client:
        for _ in range(2):
            client.sendall(head.encode() + body)
            answer = b""
            while not answer.endswith(b"}"):
                answer += client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in answer


def test_probes_pass_when_connections_run_out(database: Environment, start_service: Start) -> None:
    service = start_service(database, MAX_CONNECTIONS=20, RESERVED_CONNECTIONS=10)
    service.wait_until("/ready")
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connected(service)).sendall(HEAD)
        refused = service.wait_until("/all", 503)
        assert refused.error == "Too many clients are connected now: try again."
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        assert service.get("/live").status == 200
        assert service.get("/ready").status == 200
        more = [stack.enter_context(connected(service)) for _ in range(30)]
        closed = 0
        for client in more:
            closed += received(client) == b""  # at once, or because they stay silent
        assert closed == 30
    service.wait_until("/all")


def test_idle_connections_make_room_for_new_ones(database: Environment, start_service: Start) -> None:
    service = start_service(database, MAX_CONNECTIONS=5)
    service.wait_until("/ready")
    with ExitStack() as stack:
        idle: list[socket.socket] = []
        for _ in range(5):
            idle.append(stack.enter_context(connected(service)))
            live(idle[-1])
        assert service.get("/all").status == 200
        assert idle[0].recv(65536) == b""
        live(idle[-1])


def test_slow_readers_of_a_million_persons_fit_a_pod(
    empty_database: Environment, start_service: Start, sql: Sql
) -> None:
    assert run_command("migrate", environment=empty_database).returncode == 0
    sql(
        empty_database,
        "INSERT INTO person (first_name, last_name)"
        " SELECT repeat('\U0001f642', 255), repeat('\U0001f642', 255) FROM generate_series(1, 2000)",
        "INSERT INTO person (first_name, last_name) SELECT 'Many', 'Persons' FROM generate_series(1, 998000)",
    )
    service = start_service(empty_database, SEND_SECONDS=3600)
    service.wait_until("/ready")
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS - 5):
            client = stack.enter_context(connected(service))
            client.sendall(b"GET /all HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1)
        # They hold no connection to the database, and neither readiness nor other users wait for them.
        assert service.get("/ready").status == 200
        assert len(service.get("/all?limit=3").json) == 3  # pyright: ignore[reportArgumentType]
        assert_unharmed(service)
    assert service.get("/all").body.count(b'"id":') == 1_000_000
    assert_unharmed(service)


def test_reader_that_takes_nothing_is_disconnected(
    service: Service, database: Environment, start_service: Start, sql: Sql
) -> None:
    values = "SELECT repeat('x', 255), repeat('y', 255) FROM generate_series(1, 20000)"
    sql(database, f"INSERT INTO person (first_name, last_name) {values}")
    try:
        impatient = start_service(database, SEND_SECONDS=0.2)
        impatient.wait_until("/ready")
        with connected(impatient) as client:
            client.sendall(b"GET /all HTTP/1.1\r\nHost: x\r\n\r\n")
            line = {"route": "/all", "status": 200}
            while not any(line.items() <= logged.items() for logged in impatient.log_lines()):
                time.sleep(0.01)
            assert not received(client).endswith(b"]\r\n0\r\n\r\n")
    finally:
        sql(database, "DELETE FROM person WHERE first_name = repeat('x', 255)")


def test_full_house_of_large_heads_fits_a_pod(fresh: Service) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            client = stack.enter_context(connected(fresh))
            client.sendall(HEAD + b"X: 1\r\n" * 90 + b"X: " + b"x" * (MAX_HEAD_BYTES - 1000))
        assert_unharmed(fresh)
