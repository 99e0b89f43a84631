"""A registry with immutable tags, like ECR's."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e import registries
from tests.e2e.registries import Registry


@contextlib.contextmanager
def immutable(upstream: Registry) -> Iterator[Registry]:
    """Run a proxy to the registry that refuses to push an existing tag, even for the same image.

    That is ECR's rule (user guide, image tag mutability: ImageTagAlreadyExistsException).
    """

    class Proxy(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            prefix, _, reference = self.path.rpartition("/manifests/")
            tag = reference if prefix and not reference.startswith("sha256:") else ""
            repository = prefix.removeprefix("/v2/")
            if self.command == "PUT" and tag and upstream.manifest(repository, tag) is not None:
                self.reply(400, {"Content-Type": "application/json"}, _taken(tag, repository))
                return
            connection = http.client.HTTPConnection(upstream.host, timeout=20)
            # With the client's own Host header, so that the location of an upload leads back here.
            headers = {name: ", ".join(self.headers.get_all(name, [])) for name in self.headers}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            self.reply(response.status, dict(response.getheaders()), response.read())

        def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the registry keeps the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Registry(f"127.0.0.1:{server.server_port}", upstream.log, upstream.login)
        server.shutdown()


def _taken(tag: str, repository: str) -> bytes:
    words = f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because"
    return registries.encoded(
        {"errors": [{"code": "TAG_INVALID", "message": f"{words} the repository is immutable."}]},
    )
