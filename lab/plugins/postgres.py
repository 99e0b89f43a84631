"""A real PostgreSQL server with TLS behind a simulated managed database, in the lab's control groups.

It listens on the machine's end of the lab's link, which pods reach, and stops with the lab.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab import cgroups
from lab.certificates import Authority
from lab.files import write
from lab.layout import Lab
from lab.plugins import addresses

INSTALLED = Path("/usr/lib/postgresql")  # one folder for each major version on Debian and Ubuntu
MINIMUM_VERSION = 15  # before it, every user may create tables, which no cloud allows
OWNER = "postgres"  # the server refuses to run as root; Debian's package creates this user
READY_SECONDS = 30.0
FIRST_PORT = 25060  # DigitalOcean's; a second server takes the next free one

SETTINGS = """\
listen_addresses = '{address}'
port = {port}
unix_socket_directories = '{folder}'
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
ident_file = '{folder}/ident.conf'
password_encryption = 'scram-sha-256'
# Files in the data folder, so that a killed server leaves nothing outside it.
dynamic_shared_memory_type = mmap
max_connections = 50
shared_buffers = 16MB
fsync = off
log_line_prefix = '%m [%p] %q%u@%d '
"""


def binaries() -> Path | None:
    """Return the folder of the newest installed PostgreSQL, or None if none is recent enough."""
    folders = {int(each.parent.name): each for each in INSTALLED.glob("*/bin") if each.parent.name.isdecimal()}
    versions = [
        version for version, each in folders.items() if version >= MINIMUM_VERSION and (each / "initdb").exists()
    ]
    return folders[max(versions)] if versions else None


class ServerUnavailableError(Exception):
    """The server cannot be created, started or used."""


class Server:
    """One server: its folder holds data, certificate, settings and log.

    ``superuser`` is the role that the cloud reserves for itself. ``address`` is the server's own (see
    `lab.plugins.addresses`), empty for the machine's end of the lab's link. The certificate is for ``names``, or for
    the address if there are none.
    """

    def __init__(
        self,
        lab: Lab,
        folder: Path,
        port: int,
        superuser: str = OWNER,
        address: str = "",
        names: Sequence[str] = (),
    ) -> None:
        self.lab = lab
        self.folder = folder
        self.port = port
        self.superuser = superuser
        self.address = address
        self.names = names

    @property
    def programs(self) -> Path:
        """Folder of the server's programs. Raises ServerUnavailableError."""
        folder = binaries()
        if folder is None:
            raise ServerUnavailableError(
                f"PostgreSQL {MINIMUM_VERSION} or later is not installed: apt-get install postgresql"
            )
        return folder

    @property
    def version(self) -> str:
        """Major version of the server."""
        return self.programs.parent.name

    @property
    def host(self) -> str:
        """Address that pods and this machine connect to."""
        return self.address or self.lab.host_address

    @property
    def authority(self) -> Authority:
        """The account's certificate authority, which signs for all its servers."""
        return Authority(self.folder.parent / "authority")

    def create(self) -> None:
        """Create the server and start it. Raises ServerUnavailableError."""
        programs, owner = self.programs, pwd.getpwnam(OWNER)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.authority.ensure()
        certificate, key = self.authority.server(self.folder.name, [*self.names] or [self.host])
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            write(self.folder / name, source.read_bytes(), mode=0o600)
        write(
            self.folder / "postgresql.conf",
            SETTINGS.format(address=self.host, port=self.port, folder=self.folder),
        )
        write(self.folder / "ident.conf", f"owner {OWNER} {self.superuser}\n")
        self._admit(["all"], tls_only=True)
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        if not (self.folder / "data" / "PG_VERSION").exists():
            options = ["-D", str(self.folder / "data"), "--username", self.superuser, "--locale=C.UTF-8", "--no-sync"]
            # initdb must not outlive its plugin: a later attempt may use the same folder.
            self._run_as_owner("setpriv", "--pdeathsig=KILL", str(programs / "initdb"), *options, "--auth=peer")
        self.start()

    def start(self) -> None:
        """Start it unless it runs. Raises ServerUnavailableError."""
        if self.running():
            return
        if self.address:
            addresses.put(self.lab, self.address)
        # In an IPC namespace, its one System V segment disappears with its last process.
        command = ["unshare", "--ipc", *_as_owner(), str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        for option in (f"config_file={self.folder / 'postgresql.conf'}", f"hba_file={self.folder / 'hba.conf'}"):
            command += ["-c", option]
        groups = [str(group / "supervisor" / "cgroup.procs") for group in cgroups.folders(self.lab)]
        enter = 'while [ "$1" != -- ]; do echo 0 > "$1"; shift; done; shift; exec "$@"'
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                ["sh", "-ec", enter, "enter", *groups, "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.running():
            if process.poll() is not None or time.monotonic() > deadline:
                last = (self.folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise ServerUnavailableError(f"PostgreSQL did not start: {' '.join(last) or 'its log is empty'}")
            time.sleep(0.1)

    def running(self) -> bool:
        """Return whether it accepts connections."""
        probe = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        return subprocess.run(probe, capture_output=True).returncode == 0

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser. Raises ServerUnavailableError with the server's message."""
        return self._run_as_owner(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port), "-d", database,
            "-U", self.superuser, given=statement,
        )  # fmt: skip

    def admit(self, sources: Sequence[str], tls_only: bool = True) -> None:
        """Accept connections from these networks only; ``all`` is everywhere."""
        self._admit(sources, tls_only)
        self.sql("SELECT pg_reload_conf()")

    def _admit(self, sources: Sequence[str], tls_only: bool) -> None:
        kind = "hostssl" if tls_only else "host"
        rules = [f"local all {self.superuser} peer map=owner"]
        rules += [f"{kind} all all {source} scram-sha-256" for source in sources]
        write(self.folder / "hba.conf", "\n".join(rules) + "\n", mode=0o644)

    def has_data(self) -> bool:
        """Return whether the server was created and not destroyed."""
        return (self.folder / "data" / "PG_VERSION").exists()

    def copy_data(self, target: Path) -> None:
        """Copy the data of the stopped server; start it again if it ran. Raises ServerUnavailableError."""
        ran = self.running()
        self._stop(signal.SIGINT)  # a fast shutdown, with everything on disk
        subprocess.run(["cp", "-a", str(self.folder / "data"), str(target)], check=True)
        if ran:
            self.start()

    def begin_with(self, data: Path) -> None:
        """Give a server that is not created yet the data of another one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        subprocess.run(["cp", "-a", str(data), str(self.folder / "data")], check=True)

    def destroy(self) -> None:
        """Stop it and remove its data."""
        self._stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.address:
            addresses.release(self.lab, self.address)

    def _stop(self, how: signal.Signals) -> None:
        try:
            pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            pid = 0
        if pid in cgroups.processes(self.lab):  # another process may have this number by now
            os.kill(pid, how)
            deadline = time.monotonic() + READY_SECONDS
            while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.05)

    def _run_as_owner(self, *command: str, given: str = "") -> str:
        done = subprocess.run([*_as_owner(), *command], input=given, capture_output=True, text=True, cwd="/")
        if done.returncode != 0:
            output = done.stderr.strip() or done.stdout.strip()
            raise ServerUnavailableError(f"{Path(command[0]).name}: {output[-500:]}")
        return done.stdout.strip()


def _as_owner() -> list[str]:
    return ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"]


def free_port(lab: Lab, taken: Sequence[int]) -> int:
    """Return the first free port on the lab's host address, from FIRST_PORT. Raises ServerUnavailableError."""
    for port in range(FIRST_PORT, FIRST_PORT + 200):
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself will
            try:
                probe.bind((lab.host_address, port))
            except OSError:
                continue
        return port
    raise ServerUnavailableError(f"no free port from {FIRST_PORT} on {lab.host_address}")


def quoted(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
