"""Services without metrics, judged by what a real Traefik counts: not a line in them is changed for it.

One is an address book as many teams have it (Express), the other comes from PyPI and nobody here wrote it (httpbin). A
bad canary is the same program; a variable makes the language's runtime load a fault. Traefik and the services run as
processes of this machine. Only the cluster around them is simulated: it says that the pods are fine, and which process
is which track's.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from addressbook_testing.postgres import PASSWORD, USER, PostgresServer, free_port

from contract.platform import TRAEFIK_METRICS_PORT, traefik_backend
from contract.settings import VerdictKeys
from lab import packages, toolchain
from lab.layout import Lab
from promotion.state.cluster.cluster import Cluster
from promotion.state.cluster.pods import Pod
from promotion.verdict import judge
from promotion.verdict.table import verdict_text
from tests.unit.promotion.verdict.test_trial import FakeCluster

SERVICES = Path(__file__).with_name("services")
EXPRESS_PACKAGES = Path(__file__).parents[2] / "benchmarks" / "app" / "express"
HTTPBIN_PACKAGES = ("httpbin==0.10.2", "gunicorn==23.0.0")
#: Bounds of the histogram in seconds, as components/traefik.py sets them.
BUCKETS = "0.001,0.0025,0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10"
#: Users, and the pause of each in seconds: about 100 requests a second, half of them to the canary.
USERS, PAUSE = 8, 0.08
SECONDS, EVERY = 30, 1
KEYS = {"warmUpSeconds": 0, "canaryLatencyFloorMilliseconds": 250, "canaryLatencyPercentile": 75}
START_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """How a service is run, and which ``path`` users ask for. ``faults`` are the variables of bad canaries."""

    command: Sequence[str]
    folder: Path
    path: str
    environment: Mapping[str, str]
    faults: Mapping[str, Mapping[str, str]]

    @contextmanager
    def running(self, port: int, fault: str = "") -> Generator[None]:
        command = [part.format(port=port) for part in self.command]
        variables = {**self.environment, **self.faults.get(fault, {}), "PORT": str(port)}
        with process(command, port, self.path, self.folder, variables):
            yield


@contextmanager
def process(
    command: Sequence[str], port: int, path: str, folder: Path, variables: Mapping[str, str]
) -> Generator[None]:
    """Run a server until the block ends; it must answer before the block begins."""
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **variables}) as server:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(port, path):
                assert server.poll() is None, f"{command} has ended"
                assert time.monotonic() < deadline, f"{command} does not answer"
                threading.Event().wait(0.2)
            yield
        finally:
            server.terminate()


def answers(port: int, path: str) -> bool:
    """Return whether a server answers at all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True


@pytest.fixture(scope="module")
def express(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    packages.ensure_postgres()
    folder = tmp_path_factory.mktemp("express")
    for file in (*EXPRESS_PACKAGES.glob("package*.json"), *(SERVICES / "express").iterdir()):
        shutil.copy(file, folder)
    subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True)
    server = PostgresServer()
    try:
        server.start()
        database = {"DB_HOST": "127.0.0.1", "DB_PORT": str(server.port), "DB_USER": USER, "DB_PASSWORD": PASSWORD}
        faults = {fault: {"NODE_OPTIONS": f"--require {folder}/{fault}.js"} for fault in ("errors", "latency")}
        yield Service(["node", "server.js"], folder, "/all", {**database, "DB_SCHEMA": "postgres"}, faults)
    finally:
        server.remove()


@pytest.fixture(scope="module")
def httpbin(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("httpbin")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", *HTTPBIN_PACKAGES], check=True)
    command = [str(folder / "bin" / "gunicorn"), "--bind=127.0.0.1:{port}", "--threads=8", "--log-level=error"]
    faults = {fault: {"PYTHONPATH": str(SERVICES / "httpbin" / fault)} for fault in ("errors", "latency")}
    return Service([*command, "httpbin:app"], folder, "/uuid", {}, faults)


class Gateway(FakeCluster):
    """A simulated cluster whose only Traefik is a process of this machine."""

    traefik_port = 0

    def pods_labelled(self, selector: str, namespace: str = "") -> list[Pod]:
        if (selector, namespace) != ("app=addressbook-traefik", self.namespace):
            return []
        status = {"name": "traefik", "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        metadata = {"name": "traefik", "uid": "traefik", "namespace": namespace}
        spec = {"containers": [{"name": "traefik"}]}
        return [Pod({"metadata": metadata, "spec": spec, "status": {"containerStatuses": [status]}})]

    def within(self, namespace: str) -> Gateway:
        assert namespace == self.namespace
        return self

    @contextmanager
    def forward(self, pod: Pod, port: int) -> Generator[Any]:
        assert (pod.name, port) == ("traefik", TRAEFIK_METRICS_PORT)
        yield Metrics(http.client.HTTPConnection("127.0.0.1", self.traefik_port, timeout=5))


@dataclass
class Metrics:
    """Traefik's metrics, as if its routes came from the Gateway API and not from a file."""

    connection: http.client.HTTPConnection

    def request(self, method: str, path: str) -> None:
        self.connection.request(method, path)

    def getresponse(self) -> Metrics:
        return self

    def read(self) -> bytes:
        text = self.connection.getresponse().read()
        self.connection.close()
        return text.replace(b'@file"', b'@kubernetesgateway"')


@contextmanager
def traefik(folder: Path, ports: Mapping[str, int], path: str) -> Generator[tuple[int, int]]:
    """Run Traefik with half of the users for each track; yield its port and the one of its metrics."""
    names = {track: traefik_backend("shop", f"addressbook-{track}").partition("@")[0] for track in ports}
    backends = {
        names[track]: {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{port}"}]}}
        for track, port in ports.items()
    }
    shared = {"weighted": {"services": [{"name": name, "weight": 50} for name in names.values()]}}
    routes = {"everything": {"rule": "PathPrefix(`/`)", "service": "shared"}}
    config = {"http": {"routers": routes, "services": {"shared": shared, **backends}}}
    (folder / "routes.yaml").write_text(yaml.safe_dump(config))
    port, metrics_port = free_port(), free_port()
    lab = Lab.from_environment()
    toolchain.ensure(lab, toolchain.TRAEFIK)
    command = [
        str(toolchain.TRAEFIK.binaries(lab) / "traefik"),
        f"--providers.file.filename={folder}/routes.yaml",
        f"--entrypoints.http.address=127.0.0.1:{port}",
        f"--entrypoints.metrics.address=127.0.0.1:{metrics_port}",
        "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addserviceslabels=true",
        f"--metrics.prometheus.buckets={BUCKETS}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    with process(command, port, path, folder, {}):
        yield port, metrics_port


@contextmanager
def users(port: int, path: str) -> Generator[None]:
    """Send requests while the block runs."""
    stop = threading.Event()

    def use() -> None:
        while not stop.wait(PAUSE):
            answers(port, path)

    threads = [threading.Thread(target=use) for _ in range(USERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("name", ["express", "httpbin"])
@pytest.mark.parametrize(
    ("fault", "result", "check"),
    [("", "healthy", "errors"), ("errors", "unhealthy", "errors"), ("latency", "unhealthy", "median latency")],
    ids=["good", "errors", "latency"],
)
def test_a_service_without_metrics_is_judged(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, fault: str, result: str, check: str
) -> None:
    service = cast(Service, request.getfixturevalue(name))
    ports = {"canary": free_port(), "stable": free_port()}
    cluster = Gateway(metrics_port=False, routes_lead_to={"addressbook-canary"})
    with (
        service.running(ports["stable"]),
        service.running(ports["canary"], fault),
        traefik(tmp_path, ports, service.path) as (port, cluster.traefik_port),
        users(port, service.path),
    ):
        keys = VerdictKeys.model_validate(KEYS)
        verdict = judge(cast(Cluster, cluster), SECONDS, lambda _: None, EVERY, keys=keys)
    assert (verdict.result, verdict.source) == (result, "gateway"), verdict_text(verdict)
    assert next(each.result for each in verdict.checks if each.name == check) == result
