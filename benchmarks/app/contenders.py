"""The services under load, and the load."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from addressbook import persons
from addressbook_testing.postgres import PASSWORD, USER, PostgresServer, find_binaries, free_port

HERE = Path(__file__).resolve().parent
SERVICE = HERE.parents[1] / "app"
CONNECTIONS = 5
"""To PostgreSQL, for each service: the default of the book's."""
PERSONS = 100
START_SECONDS = 60
TABLES = {"person": "first_name, last_name", "People": '"firstName", "lastName", "createdAt", "updatedAt"'}

# What each request runs in this service, for pgbench. The id is random so that no row is special.
_ID = rf"\set id random(1, {PERSONS})"
_FORM = "firstName=Ada&lastName=Lovelace"


@dataclass(frozen=True)
class Operation:
    """One kind of request, and the statement behind it as pgbench writes it."""

    path: str
    statement: str
    method: str = "GET"


def _pgbench(statement: str, *values: str) -> str:
    for number, value in enumerate(values, 1):
        statement = statement.replace(f"${number}", value)
    return statement


OPERATIONS = {
    "GET /person/:id": Operation("/person/50", f"{_ID}\n{_pgbench(persons.GET, ':id')};"),
    "PUT /person": Operation("/person", f"{_pgbench(persons.CREATE, *[chr(39) + 'Ada' + chr(39)] * 2)};", "PUT"),
    f"GET /all ({PERSONS})": Operation("/all", f"{_pgbench(persons.PAGE, '0', '128')};"),
    "GET /ready": Operation("/ready", f"{persons.READY};"),
}


@dataclass(frozen=True)
class Load:
    """What one run measured. Seconds are per request; ``processor`` is that of the service alone."""

    seconds: float
    p99: float
    processor: float


@dataclass(frozen=True)
class Contender:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int

    def load(self, operation: Operation, seconds: int, clients: int) -> Load:
        """Send requests as fast as they are answered. Raises ValueError if one fails."""
        used = self._processor_seconds()
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            if operation.method == "PUT":
                script.write(f'wrk.method, wrk.body = "PUT", "{_FORM}"\n')
                script.write('wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n')
            # Latencies in microseconds.
            script.write(
                "done = function(summary, latency)\n"
                "  local errors = summary.errors\n"
                '  print(string.format("RESULT %d %d %f %d", summary.requests, summary.duration,'
                " latency:percentile(99), errors.status + errors.connect + errors.read + errors.timeout))\n"
                "end\n"
            )
            script.flush()
            url = f"http://127.0.0.1:{self.port}{operation.path}"
            command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s"]
            done = subprocess.run(
                [*command, "--timeout", "30s", "--script", script.name, url], capture_output=True, text=True, check=True
            )
        used = self._processor_seconds() - used
        found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) (\d+)", done.stdout)
        if not found or found[4] != "0" or found[1] == "0":
            raise ValueError(f"{operation.method} {url} failed under load:\n{done.stdout}{done.stderr}")
        requests = int(found[1])
        return Load(int(found[2]) / 1e6 / requests, float(found[3]) / 1e6, used / requests)

    def memory(self) -> int:
        """Return the largest resident size so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # pyright: ignore[reportOptionalSubscript]

    def _processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Database:
    """The PostgreSQL of all contenders."""

    def __init__(self) -> None:
        self._server = PostgresServer()
        self.environment = self._server.environment

    def __enter__(self) -> Database:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.remove()

    def reset(self) -> None:
        """Leave PERSONS persons in each table, with the ids from 1."""
        for table, columns in TABLES.items():
            values = "'Ada', 'Lovelace'" + (", now(), now()" if "createdAt" in columns else "")
            self._tool("psql", "-qc", f'TRUNCATE "{table}" RESTART IDENTITY')
            insert = f'INSERT INTO "{table}" ({columns}) SELECT {values} FROM generate_series(1, {PERSONS})'  # noqa: S608
            self._tool("psql", "-qc", insert, "-c", f'VACUUM ANALYZE "{table}"')

    def bare(self, operation: Operation, seconds: int) -> float:
        """Return the seconds per run of the operation's statement, without any service."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(operation.statement)
            script.flush()
            clients = ["--client", str(CONNECTIONS - 1), "--jobs", "1", "--time", str(seconds)]
            output = self._tool("pgbench", "--no-vacuum", "--protocol", "prepared", *clients, "--file", script.name)
        return 1 / float(re.search(r"tps = ([\d.]+)", output)[1])  # pyright: ignore[reportOptionalSubscript]

    def _tool(self, name: str, *arguments: str) -> str:
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": self.environment["DB_PORT"],
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": self.environment["DB_SCHEMA"],
        }
        command = [str(find_binaries() / name), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@contextmanager
def running(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Contender]:
    """Start a service; stop it at the end. Its logs go nowhere. Raises ValueError if it does not start."""
    port, metrics_port = free_port(), free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **environment,
        "NODE_ENV": "production",
        "DB_POOL_SIZE": str(CONNECTIONS),
        "LISTEN_ADDRESS": "127.0.0.1",
        "PORT": str(port),
        "METRICS_PORT": str(metrics_port),
    }
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield Contender(process, port)
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ValueError(f"{process.args} is not ready; see its messages above")
