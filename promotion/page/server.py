"""Serve the page on this machine alone: one address with a one-time token, GET only, events for what changes."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from promotion.page import rendering
from promotion.page.feed import Feed, StoppedError

HOST = "127.0.0.1"
#: Connections at the same time; a connection that says nothing is closed after so many seconds.
MAX_CONNECTIONS, IDLE_SECONDS = 32, 10.0
#: Seconds after which an unchanged page sends a heartbeat, which detects viewers that have gone.
BEAT_SECONDS = 10.0
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OTHER_HOST = "This host name is refused: open the address that `python -m promotion dashboard` prints."
USED = "This address has been used. Run `python -m promotion dashboard` again for a new one."


class PageServer(ThreadingHTTPServer):
    """Serves a feed at a random port of the loopback interface, to the one browser that opens ``address`` first."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, feed: Feed) -> None:
        super().__init__((HOST, 0), _Handler)
        self.feed = feed
        self.port = int(self.server_address[1])
        self.cookie = f"page-{self.port}"  # a browser sends a cookie to every port of a host
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._once = Lock()
        self._connections = BoundedSemaphore(MAX_CONNECTIONS)

    def server_bind(self) -> None:
        """Bind without the base class's look-up of this machine's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    @property
    def address(self) -> str:
        """The address to open, once."""
        return f"http://{HOST}:{self.port}/?token={self._token or ''}"

    @property
    def hosts(self) -> tuple[str, str]:
        """The names of this server; another one comes from a site that points its own name to this machine."""
        return f"{HOST}:{self.port}", f"localhost:{self.port}"

    def start(self) -> None:
        """Serve in threads until ``stop``."""
        self.feed.start()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        self.feed.stop()
        self.shutdown()
        self.server_close()

    def redeem(self, token: str) -> str | None:
        """Return the session for the token; None if it is wrong or has been used."""
        with self._once:
            if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token = None
            return self._session

    def admits(self, session: str) -> bool:
        """Return whether a cookie's value is the session."""
        return hmac.compare_digest(session.encode(), self._session.encode())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread of its own; refuse one too many."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a viewer that has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]  the only server that it serves
    timeout = IDLE_SECONDS
    server_version, sys_version = "promotion", ""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, OTHER_HOST)
        elif tokens := parse_qs(url.query).get("token"):
            self._open(tokens[0])
        elif not self._is_admitted():
            self._refuse(HTTPStatus.FORBIDDEN, "Open the address that `python -m promotion dashboard` prints.")
        elif url.path == "/":
            self._page()
        elif url.path == "/events":
            self._events()
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing at this address: the page is at /.")

    def _open(self, token: str) -> None:
        """Exchange the token for a cookie, so that it stays neither in the address nor in the browser's history."""
        session = self.server.redeem(token)
        if session is None and not self._is_admitted():
            self._refuse(HTTPStatus.FORBIDDEN, USED)
            return
        self._begin(HTTPStatus.SEE_OTHER, {"Location": "/", "Content-Length": "0"})
        if session:
            self.send_header("Set-Cookie", f"{self.server.cookie}={session}; HttpOnly; SameSite=Strict; Path=/")
        self.end_headers()

    def _is_admitted(self) -> bool:
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            return False
        return cookie is not None and self.server.admits(cookie.value)

    def _page(self) -> None:
        policy = f"{rendering.policy(live=True)}; frame-ancestors 'none'"
        body = rendering.page(self.server.feed.document, live=True).encode()
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
        self._begin(HTTPStatus.OK, {**headers, "Content-Length": str(len(body))})
        self.end_headers()
        self.wfile.write(body)

    def _events(self) -> None:
        feed = self.server.feed
        if not feed.enter():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many windows show this page: close one.")
            return
        try:
            self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            self.end_headers()
            number = 0
            while True:
                number, event = feed.next(number, BEAT_SECONDS)
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode() if event else b": unchanged\n\n")
        except (OSError, StoppedError):
            self.close_connection = True
        finally:
            feed.leave()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        body = f"{sentence}\n".encode()
        self._begin(status, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
        self.end_headers()
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)

    def send_error(self, code: int, *_: str | None, **__: str | None) -> None:
        """Answer methods other than GET with 405, and malformed requests with their own status, without a page."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        self._begin(HTTPStatus(code), {"Allow": "GET", "Content-Length": "0"})
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the token is in an address."""
