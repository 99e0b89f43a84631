"""A real Prometheus that scrapes simulated pods and a simulated kube-state-metrics."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

#: Requests that a pod answers between two scrapes.
REQUESTS = {"stable": 400, "canary": 200}


@dataclass
class Pods:
    """One pod of each track, kube-state-metrics, and a third pod. With ``broken``, all are worth an alert."""

    broken: bool = False
    _pods: dict[str, _Pod] = field(default_factory=lambda: {track: _Pod() for track in REQUESTS})

    def metrics(self, path: str) -> bytes | None:
        """Return what a target answers; None if it does not."""
        if path == "/kube":
            return self._kube()
        if path == "/third":
            return None if self.broken else b""
        return self._pods[path[1:]].scraped(REQUESTS[path[1:]], self.broken and path == "/canary")

    def _kube(self) -> bytes:
        registry = CollectorRegistry()

        def gauge(name: str, value: float, **labels: str) -> None:
            names = {"namespace": "shop", "deployment": "shop-stable", **labels}
            Gauge(name, "-", [*names], registry=registry).labels(**names).set(value)

        stuck = {"deployment": "shop-canary", "condition": "Progressing", "status": "false"}
        gauge("kube_deployment_status_condition", int(self.broken), **stuck)
        gauge("kube_deployment_spec_replicas", 3)
        gauge("kube_deployment_status_replicas_available", 2 if self.broken else 3)
        return generate_latest(registry)


class _Pod:
    """A pod with the addressbook's metrics."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        own = self._registry
        self._requests = Counter("http_requests_total", "-", ["method", "route", "status"], registry=own)
        self._seconds = Histogram("http_request_duration_seconds", "-", ["method", "route"], registry=own)
        self._wait = Histogram("addressbook_database_wait_seconds", "-", registry=own)
        self._errors = Counter("addressbook_database_errors_total", "-", ["kind"], registry=own)
        Gauge("addressbook_database_connections", "-", registry=own).set(5)
        Gauge("addressbook_database_connections_idle", "-", registry=own).set(1)
        Gauge("addressbook_build_info", "-", ["version", "revision"], registry=own).labels("1", "abc").set(1)
        for status in ("200", "500"):
            self._requests.labels("GET", "/all", status)

    def scraped(self, requests: int, broken: bool) -> bytes:
        """Answer so many more requests, one in ten of them badly if the pod is ``broken``."""
        self._requests.labels("GET", "/all", "500").inc(requests // 10 if broken else 0)
        self._requests.labels("GET", "/all", "200").inc(requests - (requests // 10 if broken else 0))
        self._errors.labels("connection").inc(10 if broken else 0)
        for _ in range(requests):
            self._seconds.labels("GET", "/all").observe(0.4 if broken else 0.02)
            self._wait.observe(0.4 if broken else 0.0)
        return generate_latest(self._registry)


@dataclass
class Prometheus:
    """A running Prometheus, and the simulated pods that it may scrape."""

    address: str
    pods: Pods = field(default_factory=Pods)
    began: float = field(default_factory=time.time)

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an API answer."""
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def series(self, query: str) -> list[Any]:
        """Return the series of a query since the start."""
        return self.get("query_range", query=query, start=str(self.began), end=str(time.time()), step="1")["result"]

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"firing after {seconds:.0f} s: {self.firing()}"
            threading.Event().wait(0.5)


@contextmanager
def running(folder: Path, rules: str) -> Generator[Prometheus]:
    """Run Prometheus with these rules over simulated pods; stop it at the end."""
    pods = Pods()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(pods))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        with scraping(folder, rules, _simulated(server.server_address[1])) as address:
            yield Prometheus(address, pods)
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def scraping(folder: Path, rules: str, job: Mapping[str, Any]) -> Generator[str]:
    """Run Prometheus with these rules and this job, once a second; return its address."""
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config = {"global": every, "rule_files": ["rules.yaml"], "scrape_configs": [{"job_name": "shop", **job}]}
    (folder / "rules.yaml").write_text(rules)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            prometheus = Prometheus(f"http://127.0.0.1:{port}")
            prometheus.wait_for(lambda: _is_up(prometheus), 60)
            yield prometheus.address
        finally:
            process.terminate()
            process.wait(30)


def _is_up(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.series("vector(1)"))
    except OSError:
        return False


def _simulated(port: int) -> Mapping[str, Any]:
    """Return a job whose targets have the labels that discovery in a cluster gives them."""

    def target(path: str, **labels: str) -> Mapping[str, Any]:
        return {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": path, **labels}}

    pod = {"namespace": "shop", "app": "shop"}
    targets = [
        target("/stable", track="stable", pod="shop-stable-1", **pod),
        target("/canary", track="canary", pod="shop-canary-1", **pod),
        target("/third", track="stable", pod="shop-stable-2", **pod),
        target("/kube"),
    ]
    return {"honor_labels": True, "static_configs": targets}


def _handler(pods: Pods) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pods.metrics(self.path)
            self.send_response(503 if body is None else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None: ...

    return Handler
