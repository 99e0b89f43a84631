"""Machines for CI jobs: a Docker Engine each, and one registry for all.

The engines are real, but on one machine: the registry is on loopback, and base images come from the mirror. Everything
is in one folder, which is removed at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lab import cgroups
from lab.engine import answers_ping
from lab.layout import Lab

#: Required programs, from Debian's docker.io and docker-registry.
PROGRAMS = ("dockerd", "containerd", "runc", "docker-registry")
#: Seconds to wait for an engine or the registry to start or stop.
PATIENCE_SECONDS = 60.0
REGISTRY_CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: "{host}"}}
"""


@dataclass(frozen=True)
class Machines:
    """CI machines. ``kept``: a job's machine keeps its layers from the last run; otherwise it starts empty.

    Images are pushed to ``registry``; base images come from ``mirror``.
    """

    folder: Path
    registry: str
    mirror: str
    kept: bool

    @contextmanager
    def machine(self, job: str) -> Iterator[dict[str, str]]:
        """Run the job's machine in this context; yield the environment that points docker to it."""
        place = self.folder / job
        place.mkdir(exist_ok=True)
        try:
            with _running("dockerd", self._arguments(place), self.folder, lambda: answers_ping(place / "docker.sock")):
                yield {
                    "DOCKER_HOST": f"unix://{place}/docker.sock",
                    "DOCKER_CONFIG": str(self.folder / "client"),
                    "DOCKER_BUILDKIT": "1",
                }
        finally:
            _unmount(place)
            if not self.kept:
                shutil.rmtree(place)

    def _arguments(self, place: Path) -> list[str]:
        return [
            f"--host=unix://{place}/docker.sock",
            f"--data-root={place}/data",
            f"--exec-root={place}/exec",
            f"--pidfile={place}/docker.pid",
            f"--cgroup-parent=/{self.folder.name}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            # Containers and builds use the host's network, and change nothing in it.
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
            f"--registry-mirror=http://{self.mirror}",
            # Twice: the engine expects host:port, but BuildKit only accepts plain HTTP with the scheme.
            *(
                f"--insecure-registry={scheme}{host}"
                for host in (self.mirror, self.registry)
                for scheme in ("", "http://")
            ),
        ]


@contextmanager
def machines(mirror: str, kept: bool) -> Iterator[Machines]:
    """Run registry and machines in this context; remove everything at the end."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-delivery-"))
    registry = f"127.0.0.1:{free_port()}"
    try:
        (folder / "client").mkdir()  # the user's logins are neither read nor changed
        plugins = Path.home() / ".docker" / "cli-plugins"
        if plugins.is_dir():
            (folder / "client" / "cli-plugins").symlink_to(plugins)
        config = folder / "registry.yaml"
        config.write_text(REGISTRY_CONFIG.format(folder=folder, host=registry))
        with _running("docker-registry", ["serve", str(config)], folder, lambda: answers(registry)):
            yield Machines(folder, registry, mirror, kept)
    finally:
        _unmount(folder)
        shutil.rmtree(folder)
        cgroups.remove(replace(Lab.from_environment(), name=folder.name))


@dataclass(frozen=True)
class Output:
    """A command's output, and the seconds until its first line."""

    text: str
    first: float


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Output:
    """Run a command; if interrupted, end all its processes. Raises ValueError if it fails."""
    began = time.perf_counter()
    started = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        assert started.stdout
        line = started.stdout.readline()
        first = time.perf_counter() - began
        output = line + started.communicate()[0]
    except BaseException:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(PATIENCE_SECONDS)
        raise
    if started.returncode:
        shown = " ".join(command)
        raise ValueError(f"`{shown}` ended with exit code {started.returncode}: {output.strip()[-3000:]}")
    return Output(output, first)


def answers(registry: str) -> bool:
    """Return whether a plain-HTTP registry answers at this address."""
    try:
        with urllib.request.urlopen(f"http://{registry}/v2/", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(program: str, arguments: Sequence[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Run a server in this context, in its own process group, so that Ctrl-C ends it last."""
    log = folder / f"{program}.log"
    with log.open("wb") as file:
        server = subprocess.Popen([program, *arguments], stdout=file, stderr=file, process_group=0)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            if server.poll() is not None or time.monotonic() > deadline:
                raise ValueError(f"{program} does not answer: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        try:
            server.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([each for each in mounts if each.startswith(f"{folder}/")]):
        subprocess.run(["umount", "-n", "--lazy", mount], capture_output=True)
