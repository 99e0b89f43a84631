"""`undo` brings earlier secret variables back and sends an event; nobody else ever sees a secret."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.project import Project

NAME = "sealed"
OLD, NEW = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "ab")
EARLIER, LATER, SAME = "earlier value\n", "later value", "unchanged value"
RESTORED = {"TOKEN": EARLIER, "KEPT": SAME}
#: A program without resources, which shows what stable would get.
PROGRAM = """
import hashlib, pulumi
variables = pulumi.Config().get_object("secretEnvironment") or {}
pulumi.export("tokens", {name: hashlib.sha256(value.encode()).hexdigest() for name, value in variables.items()})
"""
#: Logs every command line and calls the engine.
SHIM = '#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {engine} "$@"\n'


class Receiver(ThreadingHTTPServer):
    """A webhook; ``path`` is the secret part of its address."""

    path = "/services/T0KEN"

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.server.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(
    new_project: Callable[..., Project], toolchain: dict[str, str], receiver: Receiver, tmp_path: Path
) -> Project:
    """A project whose stack ran OLD with one secret, and now runs NEW with another."""
    shim, log = tmp_path / "pulumi", tmp_path / "commands"
    shim.write_text(SHIM.format(log=log, engine=shutil.which("pulumi", path=toolchain["PATH"])))
    shim.chmod(0o755)
    project = new_project(NAME, toolchain, cloud="local", stableImage=OLD)
    (project.folder / "__main__.py").write_text(PROGRAM)
    encrypt(project, TOKEN=EARLIER, KEPT=SAME)
    project.up()
    encrypt(project, TOKEN=LATER)
    address = f"http://127.0.0.1:{receiver.server_port}{receiver.path}"
    project.pulumi("config", "set", "--path", "--secret", "webhooks.team", address)
    project.stack_file.write_text(f"# ours\n{project.stack_file.read_text().replace(OLD, NEW)}")
    project.up()
    project.environment["PATH"] = f"{tmp_path}{os.pathsep}{project.environment['PATH']}"
    return project


def encrypt(project: Project, **values: str) -> None:
    """Write secret variables to the stack file without the code under test."""
    pairs = [f"--secret=secretEnvironment.{name}={value}" for name, value in values.items()]
    project.pulumi("config", "set-all", "--path", *pairs)


def ciphertexts(project: Project) -> dict[str, str]:
    config = yaml.safe_load(project.stack_file.read_text())["config"]
    return {name: entry["secure"] for name, entry in config["addressbook:secretEnvironment"].items()}


def test_undo_restores_secrets_and_shows_none(project: Project, receiver: Receiver, tmp_path: Path):
    before = ciphertexts(project)
    done = project.run(sys.executable, "-m", "promotion", "undo", "--stack", NAME, "--output", "json")
    deployed = json.loads(done.stdout)["outputs"]["tokens"]
    assert deployed == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in RESTORED.items()}

    after = ciphertexts(project)
    assert after["KEPT"] == before["KEPT"]
    assert after["TOKEN"] != before["TOKEN"]
    assert project.stack_file.read_text().startswith("# ours\n")

    commands = (tmp_path / "commands").read_text()
    assert "config\nset\n" in commands
    files = [file.read_text(errors="replace") for file in project.folder.rglob("*.*") if file.is_file()]
    for shown in (done.stdout, done.stderr, commands, *files):
        assert not [value for value in (EARLIER.strip(), LATER, SAME, receiver.path) if value in shown]

    (event,) = receiver.events
    assert (event["command"], event["outcome"]) == ("undo", "done")
    assert (event["from"], event["to"]) == ({"stable": NEW, "canary": None}, {"stable": OLD, "canary": None})
