"""A stack is made under the secrets provider that its file names. The key service behind it is simulated."""

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
#: Makes the stack as `promotion up` does, and no more.
MAKE = "from promotion.state.engine import selected; selected('kept', create=True)"


class Transit(BaseHTTPRequestHandler):
    """Vault's transit engine, simulated: what it encrypts is the plain text behind a word."""

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
        """Nothing on the terminal."""


@pytest.fixture
def project(new_project: Callable[..., Any], toolchain: dict[str, str]) -> Iterator[Any]:
    """A project with a stack file whose stack was made from another checkout, under a key service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Transit)
    Thread(target=server.serve_forever, daemon=True).start()
    # The second pair is what older engines read.
    address = f"http://127.0.0.1:{server.server_port}"
    vault = {"VAULT_ADDR": address, "VAULT_TOKEN": "t", "VAULT_SERVER_URL": address, "VAULT_SERVER_TOKEN": "t"}
    made = replace(new_project("unused", {**toolchain, **vault}, cloud="local"), stack=NAME)
    made.run("pulumi", "stack", "init", NAME, "--secrets-provider", PROVIDER, "--non-interactive")
    made.pulumi("config", "set", "cloud", "local")
    made.pulumi("config", "set", "--secret", "--path", "secretEnvironment.TOKEN", SECRET)
    made.pulumi("stack", "rm", "--yes", "--preserve-config")
    yield made
    server.shutdown()
    server.server_close()


def test_a_new_stack_reads_the_secrets_of_its_file(project: Any):
    before = project.stack_file.read_text()
    assert f"secretsprovider: {PROVIDER}" in before
    project.run(sys.executable, "-c", MAKE)
    assert project.stack_file.read_text() == before, "provider and key included"
    assert project.pulumi("config", "get", "--path", "secretEnvironment.TOKEN").stdout.strip() == SECRET
    project.run(sys.executable, "-c", MAKE)
    assert project.stack_file.read_text() == before, "a stack that is there is taken as it is"


def test_without_the_key_service_nothing_is_made(project: Any):
    before = project.stack_file.read_text()
    project.environment.update(VAULT_ADDR="http://127.0.0.1:1", VAULT_SERVER_URL="http://127.0.0.1:1")
    done = project.run(sys.executable, "-m", "promotion", "up", "--stack", NAME, check=False)
    assert done.returncode == 1
    assert "secrets manager" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.stack_file.read_text() == before
    assert NAME not in project.run("pulumi", "stack", "ls", "--json").stdout


def test_without_a_provider_it_is_the_backends_own(project: Any):
    lines = project.stack_file.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if "secretEnvironment" in line)
    kept = [line for line in lines[:at] if not line.startswith(("secretsprovider", "encryptedkey"))]
    project.stack_file.write_text("\n".join(kept) + "\n")
    project.run(sys.executable, "-c", MAKE)
    assert "encryptionsalt: " in project.stack_file.read_text(), "a passphrase, where the state is a folder"
