"""The page's server, over real HTTP: who gets the page, how it follows the stacks, and how it ends."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from promotion.page.feed import MAX_VIEWERS, Feed
from promotion.page.server import PageServer
from tests.unit.promotion.page.states import STATES


class FakeReader:
    """Reads the next of these states at each reading; the last one stays."""

    trial_changed = 0.0

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.readings = 0
        self.read_again = Event()

    def read(self) -> dict[str, Any]:
        self.readings += 1
        if self.readings > 1:
            self.read_again.set()
        return STATES[self.states.pop(0) if len(self.states) > 1 else self.states[0]]()[0]

    read_trial = read


@contextmanager
def served(*states: str) -> Generator[tuple[PageServer, FakeReader]]:
    reader = FakeReader(*states)
    server = PageServer(Feed([reader], read_seconds=0.01))
    server.start()
    try:
        yield server, reader
    finally:
        server.stop()


@pytest.fixture
def server() -> Generator[PageServer]:
    with served("no-canary") as (server, _):
        yield server


def ask(server: PageServer, path: str = "/", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    """Return the answer to a request; its body is not read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def opened(server: PageServer) -> dict[str, str]:
    """Open the address as a browser does; return the header with its cookie."""
    answer = ask(server, server.address.partition(str(server.port))[2])
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


def test_the_token_becomes_a_cookie_of_this_browser_alone(server: PageServer):
    path = server.address.partition(str(server.port))[2]
    answer = ask(server, path)
    assert answer.headers["Set-Cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")
    assert ask(server, path).status == 403, "it works once"
    page = ask(server, Cookie=answer.headers["Set-Cookie"].partition(";")[0])
    assert page.status == 200
    assert "There is no canary: stable serves everyone" in page.read().decode()


def test_a_reload_of_the_address_stays_open(server: PageServer):
    path = server.address.partition(str(server.port))[2]
    cookie = opened(server)
    assert ask(server, path, **cookie).status == 303


@pytest.mark.parametrize("path", ["/", "/events", "/other", "/?token=", "/?token=wrong", "/?token=%00%ff"])
def test_without_the_cookie_there_is_nothing(server: PageServer, path: str):
    answer = ask(server, path)
    assert answer.status == 403
    assert b"stable" not in answer.read()


def test_another_cookie_is_refused(server: PageServer):
    assert ask(server, Cookie=f"{server.cookie}=guess").status == 403
    assert ask(server, Cookie="\x7f; =;;").status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_host_name_is_refused(server: PageServer, host: str):
    assert ask(server, Host=host, **opened(server)).status == 421
    assert ask(server, "/?token=x", Host=host).status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_only_get_is_answered(server: PageServer, method: str):
    answer = ask(server, method=method, **opened(server))
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


def test_the_page_has_strict_headers(server: PageServer):
    headers = ask(server, **opened(server)).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not headers["Access-Control-Allow-Origin"]


def test_an_unknown_path_is_not_found(server: PageServer):
    assert ask(server, "/status.json", **opened(server)).status == 404


def next_event(answer: http.client.HTTPResponse, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Return the first event that is wanted."""
    while line := answer.readline():
        if line.startswith(b"data: ") and wanted(event := json.loads(line.removeprefix(b"data: "))):
            return event
    raise AssertionError("the stream has ended")


def test_events_show_what_has_changed():
    with served("no-canary", "trial-running") as (server, _):
        answer = ask(server, "/events", **opened(server))
        assert answer.headers["Content-Type"] == "text/event-stream"
        event = next_event(answer, lambda event: event["title"] == "prod: trial running")
        assert "is on trial" in event["html"]
        answer.close()


def test_nothing_is_read_while_nobody_looks():
    with served("no-canary") as (server, reader):
        assert not reader.read_again.wait(0.2)
        answer = ask(server, "/events", **opened(server))
        assert reader.read_again.wait(20)
        answer.close()


def test_viewers_are_bounded():
    with served("no-canary") as (server, _):
        cookie = opened(server)
        answers = [ask(server, "/events", **cookie) for _ in range(MAX_VIEWERS)]
        refused = ask(server, "/events", **cookie)
        assert (refused.status, refused.read()) == (503, b"Too many windows show this page: close one.\n")
        for answer in answers:
            answer.close()


def test_a_bug_ends_the_page_and_is_reported(monkeypatch: pytest.MonkeyPatch):
    with served("no-canary") as (server, reader):
        answer = ask(server, "/events", **opened(server))
        monkeypatch.setattr(reader, "read", lambda: {}["stack"])
        while answer.readline():
            pass
        assert isinstance(server.feed.error, KeyError)


def test_the_end_closes_the_stream_and_the_port():
    with served("no-canary") as (server, _):
        answer = ask(server, "/events", **opened(server))
        next_event(answer, lambda _: True)
    while answer.readline():
        pass
    with pytest.raises(ConnectionRefusedError):
        ask(server)
