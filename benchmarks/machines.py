"""Machines for jobs of continuous integration: each a Docker Engine of its own, and one registry for all of them.

Real ones, without a cloud or a network between them: the registry is on loopback, and base images come from the mirror.
All they make is in one folder, which goes at the end.
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

#: Programs that they are made of; Debian's docker.io and docker-registry have them.
PROGRAMS = ("dockerd", "containerd", "runc", "docker-registry")
#: Longest wait for an engine or the registry, to begin and to end.
PATIENCE_SECONDS = 60.0
REGISTRY_CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: "{host}"}}
"""


@dataclass(frozen=True)
class Machines:
    """``kept``: a job's machine has the layers that it had when the job ended last; otherwise it is an empty one.

    ``registry`` is where images are pushed to, ``mirror`` where base images come from.
    """

    folder: Path
    registry: str
    mirror: str
    kept: bool

    @contextmanager
    def machine(self, job: str) -> Iterator[dict[str, str]]:
        """The environment that leads docker to the job's machine, which runs for as long as the block."""
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
            # Nothing of the machine's network is changed: containers and builds are in it.
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
            f"--registry-mirror=http://{self.mirror}",
            # Twice: the engine wants host and port, and its BuildKit takes one for plain HTTP only with the scheme.
            *(
                f"--insecure-registry={scheme}{host}"
                for host in (self.mirror, self.registry)
                for scheme in ("", "http://")
            ),
        ]


@contextmanager
def machines(mirror: str, kept: bool) -> Iterator[Machines]:
    """Registry and machines; at the end they and all that they made are gone."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-delivery-"))
    registry = f"127.0.0.1:{free_port()}"
    try:
        (folder / "client").mkdir()  # so that no login of the user's is read or changed
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
class Said:
    """All that a command said, and after how many seconds the first line of it came."""

    text: str
    first: float


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Said:
    """Run a command to its end; when interrupted, end it and all of its processes. Raises ValueError if it fails."""
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
        said = line + started.communicate()[0]
    except BaseException:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(PATIENCE_SECONDS)
        raise
    if started.returncode:
        shown = " ".join(command)
        raise ValueError(f"`{shown}` ended with exit code {started.returncode}: {said.strip()[-3000:]}")
    return Said(said, first)


def answers(registry: str) -> bool:
    """Whether a registry of plain HTTP answers there."""
    try:
        with urllib.request.urlopen(f"http://{registry}/v2/", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(program: str, arguments: Sequence[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A server for as long as the block runs, in a process group of its own: Ctrl-C ends it last."""
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
