"""A temporary Docker Engine and registry: real ones, on loopback."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

# Seconds.
PATIENCE = 60
USERNAME, PASSWORD = "builder", "correct horse battery staple"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class DockerEngine:
    """dockerd without a bridge, as the lab runs it, and a registry with a login."""

    def __init__(self, folder: Path) -> None:
        missing = [tool for tool in ("dockerd", "docker-registry", "containerd", "runc") if not shutil.which(tool)]
        if os.geteuid() != 0 or missing:
            pytest.skip(f"a Docker Engine needs root and {', '.join(missing) or 'nothing else'}")
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.registry = f"127.0.0.1:{_free_port()}"
        self.host = f"unix://{folder}/docker.sock"

    def start(self) -> None:
        """Start both and wait until they respond."""
        self._start_registry()
        self._start(
            "dockerd",
            f"--host={self.host}",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/docker.pid",
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
        )
        self._wait_for(self._engine_responds, "dockerd")

    def _start_registry(self) -> None:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5, b"2a")).decode()
        (self.folder / "htpasswd").write_text(f"{USERNAME}:{hashed}\n")
        configuration = self.folder / "registry.yml"
        configuration.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/registry}}}}\n"
            f"http: {{addr: {self.registry}}}\n"
            f"auth: {{htpasswd: {{realm: test, path: {self.folder}/htpasswd}}}}\n"
        )
        self._start("docker-registry", "serve", str(configuration))
        self._wait_for(lambda: self._get("/v2/") == 200, "docker-registry")

    def _start(self, *command: str) -> None:
        log = (self.folder / f"{command[0]}.log").open("wb")
        with log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def _wait_for(self, ready: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > end or any(process.poll() is not None for process in self._processes):
                log = (self.folder / f"{what}.log").read_text(errors="replace")
                raise AssertionError(f"{what} does not respond:\n{log[-3000:]}")
            time.sleep(0.05)

    def _engine_responds(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.host.removeprefix("unix://"))
            except OSError:
                return False
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"200" in probe.recv(64)

    def _request(self, path: str) -> urllib.request.Request:
        login = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        return urllib.request.Request(
            f"http://{self.registry}{path}", headers={"Authorization": f"Basic {login}", "Accept": accept}
        )

    def _get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self._request(path), timeout=5) as response:
                return response.status
        except (OSError, urllib.error.URLError):
            return 0

    def digest(self, repository: str, reference: str) -> str:
        """Return a manifest's digest in the registry."""
        request = self._request(f"/v2/{repository}/manifests/{reference}")
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.headers["Docker-Content-Digest"]

    def stop(self) -> None:
        """End both and unmount everything they mounted."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
