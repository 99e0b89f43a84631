"""Invalid requests get one sentence, and nothing is stored."""

import asyncio
import socket

import pytest
from addressbook_testing.service import FORM, Service

from addressbook.exchange import MAX_BODY_BYTES, ClientGone, HttpError, Request

GOOD = b"firstName=Ada&lastName=Lovelace"
MALFORMED = "The form is malformed: write it as firstName=Ada&lastName=Lovelace."


def count(service: Service) -> int:
    return len(service.get("/all").json)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The form lacks firstName."),
        (b"lastName=L", "The form lacks firstName."),
        (b"firstName=F", "The form lacks lastName."),
        (b"firstName=&lastName=L", "firstName must not be empty."),
        (b"firstName=F&lastName=+%09", "lastName must not be empty."),
        (b"firstName=" + b"x" * 256 + b"&lastName=L", "firstName is 256 characters long; at most 255"),
        (b"firstName=F&lastName=" + b"%F0%9F%99%82" * 256, "lastName is 256 characters long; at most 255"),
        (b"firstName=a%00b&lastName=L", "firstName contains a control character."),
        (b"firstName=a%0Ab&lastName=L", "firstName contains a control character."),
        (b"firstName=a\0b&lastName=L", "firstName contains a control character."),
        (b"firstName=%FF&lastName=L", "The form is not UTF-8."),
        (b"firstName=\xff&lastName=L", "The form is not UTF-8."),
        (b"firstName=%ED%A0%80&lastName=L", "The form is not UTF-8."),
        (b"firstName=%4&lastName=L", MALFORMED),
        (b"firstName=100%&lastName=L", MALFORMED),
        (b"firstName&lastName=L", MALFORMED),
        (b'{"firstName": "F", "lastName": "L"}', MALFORMED),
        (b"&".join(b"f%d=1" % field for field in range(21)), MALFORMED),
        (GOOD + b"&firstName=Eve", "The form gives a field more than once."),
        (GOOD + b"&id=", "The id must be a whole number from 1 to 9223372036854775807."),
        (GOOD + b"&id=one", "The id must be"),
        (GOOD + b"&id=1.5", "The id must be"),
    ],
)
def test_bad_forms_are_refused(service: Service, body: bytes, sentence: str) -> None:
    before = count(service)
    answer = service.request("PUT", "/person", body, {"Content-Type": FORM})
    assert answer.status == 400
    assert answer.error.startswith(sentence)
    assert count(service) == before


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "person", ["one", "0", "-1", "+1", "1.0", "%20", "1%00", "%D9%A1", "%E2%91%A0", str(2**63), "9" * 5000]
)
def test_bad_ids_are_refused(service: Service, method: str, person: str) -> None:
    answer = service.request(method, f"/person/{person}")
    assert answer.status == 400
    assert answer.error == "The id must be a whole number from 1 to 9223372036854775807."


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": FORM + "; charset=latin-1"},
        {"Content-Type": FORM, "Content-Encoding": "gzip"},
    ],
)
def test_wrong_content_types_are_refused(service: Service, headers: dict[str, str]) -> None:
    before = count(service)
    answer = service.request("PUT", "/person", GOOD, headers)
    assert answer.status == 415
    assert answer.error == "Send a form: Content-Type application/x-www-form-urlencoded, in UTF-8."
    assert count(service) == before


@pytest.mark.parametrize("extra", [1, 2_000_000])
def test_large_bodies_are_refused(service: Service, extra: int) -> None:
    before = count(service)
    body = GOOD.ljust(MAX_BODY_BYTES + extra, b"x")
    answer = service.request("PUT", "/person", body, {"Content-Type": FORM})
    assert (answer.status, answer.error) == (413, "The form is too large: at most 16384 bytes are accepted.")
    assert count(service) == before


def exchange(service: Service, data: bytes) -> bytes:
    """Send raw bytes, close the sending half, and return the whole answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_large_chunked_bodies_are_refused(service: Service) -> None:
    before = count(service)
    head = f"PUT /person HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {FORM}\r\n"
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    body = b"Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk + b"0\r\n\r\n"
    assert exchange(service, head.encode() + body).startswith(b"HTTP/1.1 413 ")
    assert count(service) == before


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET /all HTTP/1.1\r\nBad Header\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
def test_non_http_bytes_are_refused_without_harm(service: Service, data: bytes) -> None:
    assert exchange(service, data).startswith(b"HTTP/1.1 400 ")
    assert service.get("/ready").status == 200


def test_truncated_form_stores_nothing(service: Service) -> None:
    before = count(service)
    head = f"PUT /person HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head.encode() + GOOD)
    answer = exchange(service, head.encode() + GOOD)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"The form did not arrive completely."}')
    assert count(service) == before


def test_form_lost_before_it_is_read_is_not_awaited() -> None:
    request = Request("PUT", "/person", "", [(b"content-type", FORM.encode())])
    request.lose()
    with pytest.raises(ClientGone):
        asyncio.run(request.body(0.01))


def test_missing_form_times_out() -> None:
    request = Request("PUT", "/person", "", [(b"content-type", FORM.encode())])
    with pytest.raises(HttpError) as caught:
        asyncio.run(request.body(0.01))
    assert caught.value.status == 408
