"""The Docker client: its private configuration, and its runs."""

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
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.plugins.provider import ProviderError

# Seconds that the client or the engine has to respond.
RESPONSE_TIMEOUT = 20
# Later major versions of the client need the buildx plugin to build with BuildKit.
LAST_WITH_BUILDKIT = 22
# Seconds that a build has to end after an interrupt.
INTERRUPT_TIMEOUT = 2.0


@dataclass(frozen=True)
class Credentials:
    """A login to a registry. ``registry`` is the name under which the Docker client looks it up."""

    registry: str
    username: str
    password: str


def find_client() -> str:
    """Return the first `docker` on PATH or in /usr/bin that builds with BuildKit. Raises ProviderError."""
    unsuitable: list[str] = []
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]:
        path = shutil.which("docker", path=folder)
        if path and path not in unsuitable:
            if _supports_buildkit(path):
                return path
            unsuitable.append(path)
    problem = (
        f"{' and '.join(unsuitable)} cannot build with BuildKit" if unsuitable else "No Docker client is installed"
    )
    raise ProviderError(f"{problem}. Install docker.io (Debian, Ubuntu), or Docker with its buildx plugin.")


def _supports_buildkit(path: str) -> bool:
    def output(*arguments: str) -> str:
        return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=RESPONSE_TIMEOUT).stdout

    # The client prints its own version even if the engine is down.
    major = output("version", "--format", "{{.Client.Version}}").strip().partition(".")[0]
    without_plugin = major.isdecimal() and 0 < int(major) <= LAST_WITH_BUILDKIT
    return without_plugin or bool(output("buildx", "version"))


def _private_folder() -> Path:
    """Create a folder for credentials, in memory if possible."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it has a random name and mode 0700
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="pulumi-docker-", dir=parent))


def _user_configuration() -> tuple[Path, dict[str, Any]]:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    file = folder / "config.json"
    try:
        return folder, json.loads(file.read_text() or "{}")
    except FileNotFoundError:
        return folder, {}
    except (OSError, ValueError) as error:
        raise ProviderError(f"The Docker configuration {file} cannot be read: {error}") from error


class Configuration:
    """A temporary configuration folder for the Docker client: the user's configuration and the program's login.

    The login is on no command line, in no environment and not in the user's own folder.
    """

    def __init__(self, login: Credentials | None) -> None:
        user, content = _user_configuration()
        if login:
            # A credential store or helper would take precedence.
            content.pop("credsStore", None)
            content.get("credHelpers", {}).pop(login.registry, None)
            encoded = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
            content.setdefault("auths", {})[login.registry] = {"auth": encoded}
        self.folder = _private_folder()
        file = self.folder / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(content))
        for name in ("contexts", "cli-plugins", "buildx", "tls"):
            if (user / name).exists():
                (self.folder / name).symlink_to((user / name).resolve())

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """Runs the Docker client. `stop` ends every run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._configurations: set[Configuration] = set()
        self._stopped = False

    @cached_property
    def path(self) -> str:
        """The client's executable. Raises ProviderError."""
        return find_client()

    def require_engine(self) -> None:
        """Raise ProviderError unless the engine responds."""
        asked = self._ask("version", "--format", "{{.Server.Version}}")
        if asked.returncode:
            address = os.environ.get("DOCKER_HOST") or "the default address"
            reason = asked.stderr.strip().splitlines()[-1:] or ["no response"]
            raise ProviderError(
                f"The Docker Engine at {address} does not respond: {reason[0]}. Start it, or set DOCKER_HOST."
            )

    def has_bridge(self) -> bool:
        """Return whether the engine has the bridge network that builds run in by default."""
        asked = self._ask("network", "ls", "--filter", "driver=bridge", "--format", "{{.Name}}")
        return asked.returncode != 0 or "bridge" in asked.stdout.split()

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self.path, *arguments], capture_output=True, text=True, timeout=RESPONSE_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise ProviderError(
                f"docker {arguments[0]} did not respond within {RESPONSE_TIMEOUT} s. Restart the Docker Engine."
            ) from error

    def configure(self, login: Credentials | None) -> Configuration:
        """Return a configuration folder. The caller removes it; `stop` does if the plugin ends first."""
        configuration = Configuration(login)
        with self._lock:
            self._configurations.add(configuration)
        return configuration

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], line: Callable[[str], None]) -> int:
        """Run the client and pass each line of its output to `line`. Return the exit code, negative after a signal."""
        command = [self.path, *arguments]
        with self._lock:
            self._refuse_when_stopped()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **environment},
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
        self._refuse_when_stopped()
        return code

    def _refuse_when_stopped(self) -> None:
        if self._stopped:
            raise ProviderError("The Docker build was cancelled.")

    def stop(self) -> None:
        """End all runs and delete their configuration folders."""
        with self._lock:
            self._stopped = True
            running, configurations = list(self._running), list(self._configurations)
        for process in running:
            _signal_group(process, signal.SIGINT)
        for process in running:
            try:
                process.wait(INTERRUPT_TIMEOUT)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
        for configuration in configurations:
            configuration.remove()


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
