"""A temporary PostgreSQL server on a free loopback port."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NotRequired, TypedDict

USER = "demouser"
PASSWORD = "correct-horse-battery"
START_SECONDS = 30


class NoPostgres(Exception):
    """PostgreSQL is not installed."""


class Identity(TypedDict):
    """User and working directory of a process, for `subprocess`."""

    cwd: Path
    user: NotRequired[int]
    group: NotRequired[int]
    extra_groups: NotRequired[list[int]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`: from PATH, `pg_config`, or Debian's location."""
    folders: list[Path] = []
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    if config := shutil.which("pg_config"):
        found = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(found.stdout.strip()))
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders.extend(sorted(debian, key=lambda path: int(path.parent.name), reverse=True))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres("no PostgreSQL server here: neither PATH, pg_config nor /usr/lib/postgresql has one")


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account that the server runs as, since it refuses root; None if we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


class PostgresServer:
    """One server with one superuser, `USER`; `stop` and `start` keep its data, `remove` doesn't."""

    def __init__(self, *, tls_only: bool = False) -> None:
        self._binaries = find_binaries()
        self._account = unprivileged_account()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="addressbook-postgres-"))
        self._data = self.folder / "data"
        self._options: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._initialise(tls_only)
        except BaseException:
            self.remove()
            raise

    def _initialise(self, tls_only: bool) -> None:
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        self.give_away(password_file)
        self.give_away(self.folder)
        initdb = [self._binaries / "initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", "--no-sync"]
        initdb += ["-E", "UTF8", "--locale=C", f"--pwfile={password_file}"]
        subprocess.run(initdb, check=True, capture_output=True, **self._identity())
        if tls_only:
            (self._data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")

    def give_away(self, path: Path) -> None:
        """Give `path` to the account that the server runs as."""
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    @property
    def environment(self) -> dict[str, str]:
        """Return the service's settings for this server."""
        return {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port),
            "DB_USER": USER,
            "DB_PASSWORD": PASSWORD,
            "DB_SCHEMA": "postgres",
        }

    def set_option(self, name: str, value: str) -> None:
        """Set a server parameter for the next start."""
        self._options[name] = value

    def start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            **self._options,
        }
        command = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._identity())
        deadline = time.monotonic() + START_SECONDS
        ready = self._data / "postmaster.pid"
        while time.monotonic() < deadline and self._process.poll() is None:
            # The server writes its state as the file's last line.
            if ready.exists() and ready.read_text().rstrip().endswith("\nready"):
                return
            time.sleep(0.02)
        raise RuntimeError("PostgreSQL did not start: " + (self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Shut down fast: terminate open connections."""
        if self._process:
            self._process.send_signal(2)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _identity(self) -> Identity:
        if not self._account:
            return {"cwd": self.folder}
        account = self._account
        return {"cwd": self.folder, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
