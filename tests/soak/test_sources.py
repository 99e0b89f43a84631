"""Services without metrics, judged by what the gateway counts: not a line in them is changed for it.

One is an address book as many teams have it (Express), the other comes from PyPI and nobody here wrote it (httpbin). A
bad canary has the same image; a variable makes the language's own runtime load a fault.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import take_away
from tests.project import Project

SERVICES = Path(__file__).with_name("services")
PACKAGES = Path(__file__).parents[2] / "benchmarks" / "app" / "express"
CODES = {"healthy": 0, "unhealthy": 5}
#: Each user's pause, in seconds. Ten of them send about 100 requests a second, half of them to the canary.
PAUSE, USERS = 0.1, 10
TRIAL = ("--for", "40s", "--every", "2s")


@dataclass(frozen=True)
class Service:
    """A folder of SERVICES. ``faults`` are variables of a canary that fails, or is slow."""

    name: str
    path: str
    ready: str
    faults: dict[str, dict[str, str]]


EXPRESS = Service(
    "express",
    "/all",
    "/ready",
    {
        "errors": {"NODE_OPTIONS": "--require /service/errors.js"},
        "latency": {"NODE_OPTIONS": "--require /service/latency.js"},
    },
)
HTTPBIN = Service(
    "httpbin",
    "/uuid",
    "/status/200",
    {"errors": {"PYTHONPATH": "/faults/errors"}, "latency": {"PYTHONPATH": "/faults/latency"}},
)


def config(service: Service) -> dict[str, Any]:
    return {
        "cloud": "local",
        "kubeContext": "addressbook-lab",
        "registry": "10.203.0.1:5000",
        "namespace": f"sources-{service.name}",
        "service": service.name,
        "buildContext": "service",
        "port": 3000,
        "metricsPort": 0,
        "readinessPath": service.ready,
        "livenessPath": service.ready,
        "migrateCommand": [],
        "testCommands": [],
        "stableReplicas": 1,
        "cpuRequest": "10m",
        "warmUpSeconds": 2,
        "gateway": "traefik",
        "canaryWeight": "50",
        "canaryLatencyFloorMilliseconds": 250,  # the tracks share two cores with the whole lab
        "canaryLatencyPercentile": 75,
    }


@pytest.fixture(scope="module", params=[HTTPBIN, EXPRESS], ids=lambda service: service.name)
def released(
    request: pytest.FixtureRequest, gateway_lab: dict[str, str], new_project: Callable[..., Project]
) -> Iterator[tuple[Service, Project]]:
    """The service with a stable of one pod behind Traefik, pinned."""
    service, keys = request.param, config(request.param)
    project = new_project(service.name, gateway_lab, **keys)
    project.delete_namespaces(keys["namespace"])
    context = project.folder / "service"
    shutil.copytree(SERVICES / service.name, context)
    if service is EXPRESS:
        for file in PACKAGES.glob("package*.json"):
            shutil.copy(file, context)
        subprocess.run(["npm", "ci", "--silent"], cwd=context, check=True)
    try:
        project.up()
        project.configure(stableImage=project.outputs()["tracks"]["stable"]["image"])
        yield service, project
    finally:
        take_away(project, keys["namespace"])


@contextmanager
def users(url: str, path: str) -> Generator[list[int]]:
    """Send requests while the block runs, each user on a connection of its own; yield the statuses."""
    address, stop, statuses = urlsplit(url), threading.Event(), list[int]()

    def use() -> None:
        while not stop.wait(PAUSE):
            connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=10)
            try:
                connection.request("GET", path)
                statuses.append(connection.getresponse().status)
            except OSError:
                statuses.append(0)
            finally:
                connection.close()

    threads = [threading.Thread(target=use) for _ in range(USERS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("fault", "result", "check"),
    [("", "healthy", ""), ("errors", "unhealthy", "errors"), ("latency", "unhealthy", "median latency")],
    ids=["good", "errors", "latency"],
)
def test_a_service_without_metrics_is_judged(
    released: tuple[Service, Project], fault: str, result: str, check: str
) -> None:
    service, project = released
    image = project.outputs()["tracks"]["stable"]["image"]
    on_trial = {"environment": {"TRIAL": fault or "good", **service.faults.get(fault, {})}}
    project.configure(canaryImage=image, canaryReplicas=1, canarySettings=on_trial, canaryVerdict=None)
    project.up()
    with users(project.outputs()["url"], service.path) as statuses:
        command = (sys.executable, "-m", "promotion", "verdict", "--stack", project.stack, *TRIAL, "--keep")
        done = project.run(*command, "--output", "json", check=False)
    assert done.returncode == CODES[result], f"{done.stdout}\n{done.stderr}\n{len(statuses)} requests"
    verdict = json.loads(done.stdout)
    assert (verdict["result"], verdict["source"]) == (result, "gateway")
    assert [each["name"] for each in verdict["checks"] if each["name"] == check and each["result"] == result] == (
        [check] if check else []
    )
    assert 0 not in statuses
