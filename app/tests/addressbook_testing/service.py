"""The service as a process, with its HTTP interface and log lines."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from addressbook_testing.postgres import free_port

START_SECONDS = 15
STOP_SECONDS = 30
APP = Path(__file__).parents[2]
FORM = "application/x-www-form-urlencoded"


def command_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return only the given variables and those that Python needs, none of the developer's."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    python_path = os.pathsep.join([str(APP), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**inherited, "PYTHONPATH": python_path, **environment}


def run_command(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `addressbook ARGUMENTS` and wait for it."""
    command = [sys.executable, "-m", "addressbook", *arguments]
    environment = command_environment(environment)
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Return the error sentence of a response, which contains nothing else."""
        content = json.loads(self.body)
        assert list(content) == ["error"], content
        assert self.headers["content-type"] == "application/json"
        return content["error"]


START = """
import sys
from addressbook import connection
for name, value in {limits}.items():
    assert hasattr(connection, name), name
    setattr(connection, name, value)
from addressbook.cli import main
sys.exit(main(["serve"]))
"""


class Service:
    """`addressbook serve` as a process on free loopback ports, with other limits than usual if given."""

    def __init__(self, environment: dict[str, str], **limits: float) -> None:
        self.port = free_port()
        self.metrics_port = free_port()
        while self.metrics_port == self.port:
            self.metrics_port = free_port()
        self.environment = {
            "LISTEN_ADDRESS": "127.0.0.1",
            **environment,
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
        }
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-c", START.format(limits=limits)],
            env=command_environment(self.environment),
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd="/",
        )

    def wait_until(self, path: str, status: int = 200) -> Answer:
        """Request `path` until it answers with `status`."""
        deadline = time.monotonic() + START_SECONDS
        last: object = None
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                answer = self.get(path)
            except OSError as error:
                last = error
            else:
                if answer.status == status:
                    return answer
                last = answer
            time.sleep(0.02)
        raise AssertionError(f"{path} never answered {status}, last: {last}; log:\n{self.output()}")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def put(self, **fields: str) -> Answer:
        return self.request("PUT", "/person", urlencode(fields).encode(), {"Content-Type": FORM})

    def metrics(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def output(self) -> str:
        # Not read(): the service writes through the same open file, and so moves its position.
        return os.pread(self._output.fileno(), os.fstat(self._output.fileno()).st_size, 0).decode()

    def log_lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output().splitlines()]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Stop the process, by force if needed, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode
