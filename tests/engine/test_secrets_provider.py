"""A stack is created with the secrets provider that its file names. The key service is simulated."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

NAME = "kept"
PROVIDER = "hashivault://team"
SECRET = "not for everybody"
#: Create the stack as `promotion up` does, and nothing else.
CREATE = "from promotion.state.engine import select_stack; select_stack('kept', create=True)"


class Transit(BaseHTTPRequestHandler):
    """A simulated transit engine of Vault: it encrypts by putting a word before the plain text."""

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/encrypt/" in self.path:
            sealed = base64.b64encode(b"sealed" + base64.b64decode(body["plaintext"])).decode()
            data = {"ciphertext": f"vault:v1:{sealed}"}
        else:
            opened = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:")).removeprefix(b"sealed")
            data = {"plaintext": base64.b64encode(opened).decode()}
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def project(new_project: Callable[..., Any], toolchain: dict[str, str]) -> Iterator[Any]:
    """A project whose stack file came from another checkout, with secrets under a key service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Transit)
    Thread(target=server.serve_forever, daemon=True).start()
    # The second pair is what older engines read.
    address = f"http://127.0.0.1:{server.server_port}"
    vault = {"VAULT_ADDR": address, "VAULT_TOKEN": "t", "VAULT_SERVER_URL": address, "VAULT_SERVER_TOKEN": "t"}
    project = replace(new_project("unused", {**toolchain, **vault}, cloud="local"), stack=NAME)
    project.run("pulumi", "stack", "init", NAME, "--secrets-provider", PROVIDER, "--non-interactive")
    project.pulumi("config", "set", "cloud", "local")
    project.pulumi("config", "set", "--secret", "--path", "secretEnvironment.TOKEN", SECRET)
    project.pulumi("stack", "rm", "--yes", "--preserve-config")
    yield project
    server.shutdown()
    server.server_close()


def test_new_stack_reads_its_files_secrets(project: Any):
    before = project.stack_file.read_text()
    assert f"secretsprovider: {PROVIDER}" in before
    project.run(sys.executable, "-c", CREATE)
    assert project.stack_file.read_text() == before, "the file keeps its provider and key"
    assert project.pulumi("config", "get", "--path", "secretEnvironment.TOKEN").stdout.strip() == SECRET
    project.run(sys.executable, "-c", CREATE)
    assert project.stack_file.read_text() == before, "an existing stack is used as it is"


def test_unreachable_key_service_creates_nothing(project: Any):
    before = project.stack_file.read_text()
    project.environment.update(VAULT_ADDR="http://127.0.0.1:1", VAULT_SERVER_URL="http://127.0.0.1:1")
    done = project.run(sys.executable, "-m", "promotion", "up", "--stack", NAME, check=False)
    assert done.returncode == 1
    assert "secrets manager" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.stack_file.read_text() == before
    assert NAME not in project.run("pulumi", "stack", "ls", "--json").stdout


def test_backends_provider_is_the_default(project: Any):
    lines = project.stack_file.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if "secretEnvironment" in line)
    kept = [line for line in lines[:at] if not line.startswith(("secretsprovider", "encryptedkey"))]
    project.stack_file.write_text("\n".join(kept) + "\n")
    project.run(sys.executable, "-c", CREATE)
    assert "encryptionsalt: " in project.stack_file.read_text(), "a folder's own provider is a passphrase"
