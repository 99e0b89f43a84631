"""The Docker client: one that can build with BuildKit, its private configuration, and its runs."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.plugins.serving import ProviderError
from pipeline import docker

# How long a question to the client or the engine may take, in seconds.
ANSWER = 20
# How long a build may take to end after an interrupt, in seconds.
INTERRUPT = 2.0


@dataclass(frozen=True)
class Credentials:
    """A login at a registry, under the name by which the Docker client looks for it."""

    registry: str
    username: str
    password: str


def find_client() -> str:
    """The first `docker` in PATH (or /usr/bin/docker) that can build with BuildKit. Raises ProviderError if none."""
    found, others = docker.find_client([*docker.folders_on_path(), "/usr/bin"], timeout=ANSWER)
    if found:
        return found
    if not others:
        raise ProviderError(
            "no Docker client is installed: install docker.io (Debian, Ubuntu) or Docker, so that `docker` is in PATH."
        )
    raise ProviderError(
        f"{' and '.join(others)} can't build with BuildKit: install the buildx plugin (docker-buildx-plugin), or the "
        "docker.io package, whose client needs none."
    )


def _private_folder() -> Path:
    """A folder for credentials, in memory where the system has such a place."""
    memory = Path("/dev/shm")  # noqa: S108 - what is made in it is a folder with a random name and mode 0700
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="pulumi-docker-", dir=parent))  # mode 0700


def _user_configuration() -> tuple[Path, dict[str, Any]]:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    file = folder / "config.json"
    try:
        return folder, json.loads(file.read_text() or "{}")
    except FileNotFoundError:
        return folder, {}
    except (OSError, ValueError) as error:
        raise ProviderError(f"the Docker configuration {file} can't be read: {error}.") from error


class Configuration:
    """A configuration folder of the Docker client's own: the user's, and the program's credentials beside it.

    Credentials thus appear on no command line, in no environment and not in the user's folder.
    """

    def __init__(self, credentials: Sequence[Credentials]) -> None:
        user, content = _user_configuration()
        if credentials:
            # A credential store takes precedence over what is written here.
            content.pop("credsStore", None)
        for each in credentials:
            content.get("credHelpers", {}).pop(each.registry, None)
            login = base64.b64encode(f"{each.username}:{each.password}".encode()).decode()
            content.setdefault("auths", {})[each.registry] = {"auth": login}
        self.folder = _private_folder()
        file = self.folder / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(content))
        for name in ("contexts", "cli-plugins", "buildx", "tls"):
            if (user / name).exists():
                (self.folder / name).symlink_to((user / name).resolve())

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """Runs the Docker client against one engine; any run ends when `stop` is called."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path = ""
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._configurations: set[Configuration] = set()
        self._stopped = False

    @property
    def path(self) -> str:
        """Where the client is."""
        with self._lock:
            if not self._path:
                self._path = find_client()
            return self._path

    def reach(self) -> None:
        """Make sure that the engine answers. Raises ProviderError with the engine's address if not."""
        asked = self.ask("version", "--format", "{{.Server.Version}}")
        if asked.returncode:
            where = self._environment.get("DOCKER_HOST") or os.environ.get("DOCKER_HOST") or "the default address"
            reason = asked.stderr.strip().splitlines()[-1:] or ["no answer"]
            raise ProviderError(
                f"the Docker Engine at {where} can't be reached ({reason[0]}): start it, or say where it is with "
                "`pulumi config set docker:host` or DOCKER_HOST."
            )

    def has_bridge(self) -> bool:
        """Whether the engine has its default bridge network, which builds otherwise run in."""
        asked = self.ask("network", "ls", "--filter", "driver=bridge", "--format", "{{.Name}}")
        return asked.returncode != 0 or "bridge" in asked.stdout.split()

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A short question, answered within `ANSWER` seconds."""
        try:
            return subprocess.run(
                [self.path, *arguments],
                capture_output=True,
                text=True,
                timeout=ANSWER,
                env={**os.environ, **self._environment},
            )
        except subprocess.TimeoutExpired as error:
            raise ProviderError(
                f"docker {arguments[0]} gave no answer within {ANSWER} s; the Docker Engine hangs."
            ) from error

    def configure(self, credentials: Sequence[Credentials]) -> Configuration:
        """A configuration folder, which `stop` removes should nobody get to it before."""
        configuration = Configuration(credentials)
        with self._lock:
            self._configurations.add(configuration)
        return configuration

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        line: Callable[[str], None],
    ) -> int:
        """Run the client, give each line of its output to `line`; its exit code (negative: ended by a signal)."""
        command = [self.path, *arguments]
        with self._lock:
            if self._stopped:
                raise ProviderError("the Docker build was cancelled.")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **self._environment, **environment},
                start_new_session=True,
            )
            self._running.add(process)
        try:
            assert process.stdout is not None
            for text in process.stdout:
                line(text.rstrip())
            code = process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise ProviderError("the Docker build was cancelled.")
        return code

    def stop(self) -> None:
        """End whatever runs, and leave no configuration folder behind."""
        with self._lock:
            self._stopped = True
            running, configurations = list(self._running), list(self._configurations)
        for process in running:
            _signal_group(process, signal.SIGINT)
        for process in running:
            try:
                process.wait(INTERRUPT)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
        for configuration in configurations:
            configuration.remove()


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
