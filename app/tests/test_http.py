"""HTTP/1.1 as clients and proxies speak it, byte by byte."""

import socket
import time

import pytest
from addressbook_testing.service import FORM, Service

LIVE = b'{"live":true}'
FORM_HEAD = f"PUT /person HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 28\r\n".encode()
BODY = b"firstName=Ada&lastName=Later"


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
