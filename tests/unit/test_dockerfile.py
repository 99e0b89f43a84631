"""The image's health check, run against a service that lives, one that does not, and none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

DOCKERFILE = Path(__file__).resolve().parents[2] / "app" / "Dockerfile"


def health_check() -> list[str]:
    """Return the command, with this Python as the image's."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", "")
    (command,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", text, re.MULTILINE)
    python, *arguments = json.loads(command)
    assert python == "python3"
    return [sys.executable, *arguments]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False), (None, False)])
def test_the_health_check_asks_whether_the_service_lives(status: int | None, healthy: bool):
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status or 0)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        if status is None:  # nobody listens any more
            server.shutdown()
            server.socket.close()
        environment = {**os.environ, "PORT": str(server.server_port)}
        done = subprocess.run(health_check(), env=environment, capture_output=True, timeout=30, check=False)
        if status is not None:
            server.shutdown()
    assert (done.returncode == 0) is healthy
    assert asked == ([] if status is None else ["/live"])
