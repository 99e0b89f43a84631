"""The trial stack behind Traefik, and users who reach it by HTTPS."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from contract.platform import TRAEFIK_METRICS_PORT, traefik_app
from tests.e2e.authority import Authority
from tests.e2e.load import Client
from tests.e2e.trial import Trial, Users

HOSTNAME, SECRET = "addressbook.example.com", "addressbook-tls"
HEADER = {"X-Canary": "always"}
#: The keys of the entrance, and how a test leaves the canary's weight.
KEYS = {
    "gateway": "traefik",
    "hostname": HOSTNAME,
    "tls": SECRET,
    "canaryHeader": "X-Canary: always",
    "canaryWeight": "1",
    "sticky": True,
}
USERS_PER_SECOND = 200
#: Requests at once.
AT_ONCE = 20
#: What the canary answers at /version, and any other version.
NEW, OLD = 200, 404


@dataclass
class FrontDoor:
    """``canary`` is an image that tells its version."""

    trial: Trial
    authority: Authority
    address: str
    canary: str

    def up(self, **keys: object) -> None:
        self.trial.project.configure(**keys)
        self.trial.project.up()

    def client(self, kept: int = 1) -> Client:
        return Client(f"https://{HOSTNAME}", kept, self.address, str(self.authority.file))

    def users(self) -> AbstractContextManager[Users]:
        options = ("--address", self.address, "--ca", str(self.authority.file))
        return self.trial.users(600, USERS_PER_SECOND, *options)

    def versions(self, number: int, headers: dict[str, str] | None = None) -> Counter[int]:
        """Send so many requests without a cookie; return how often each version answered."""

        async def send() -> Counter[int]:
            client, seen, left = self.client(AT_ONCE), Counter[int](), iter(range(number))

            async def one_user() -> None:
                for _ in left:
                    status, _, _ = await client.exchange("GET", "/version", headers or {})
                    seen[status] += 1

            await asyncio.gather(*(one_user() for _ in range(AT_ONCE)))
            return seen

        return asyncio.run(send())

    def renew_certificate(self) -> int:
        return self.authority.renew(self.trial.project, self.trial.namespace, SECRET, HOSTNAME)

    def served_certificate(self) -> int:
        """Return the serial number of the certificate that a new connection gets."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        with (
            socket.create_connection((self.address, 443), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOSTNAME) as connection,
        ):
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").serial_number

    def pods(self) -> list[dict[str, Any]]:
        """Return Traefik's pods."""
        return self.trial.project.objects("pods", self.trial.namespace, f"app={traefik_app('addressbook')}")

    def requests_by_service(self) -> Counter[str]:
        """Return Traefik's own count of requests by the label `service`, summed over its pods."""
        counted = Counter[str]()
        for pod in self.pods():
            name = f"{pod['metadata']['name']}:{TRAEFIK_METRICS_PORT}"
            path = f"/api/v1/namespaces/{self.trial.namespace}/pods/{name}/proxy/metrics"
            text = self.trial.project.kubectl("get", "--raw", path).stdout
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == "traefik_service_requests_total":
                        counted[sample.labels["service"]] += int(sample.value)
        return counted

    def weights(self) -> dict[str, int]:
        """Return the weight of each Service in the route, or in what the route refers to."""
        routes = self.trial.project.objects("traefikservices", self.trial.namespace)
        return {each["name"]: each["weight"] for each in routes[0]["spec"]["weighted"]["services"]} if routes else {}


@contextmanager
def front_door(trial: Trial, folder: Path) -> Iterator[FrontDoor]:
    """Put the trial stack behind Traefik, with a canary of weight 1; take both away again."""
    authority, project = Authority(folder), trial.project
    authority.renew(project, trial.namespace, SECRET, HOSTNAME)
    trial.candidate("tells its version")
    try:
        project.configure(**KEYS, canaryImage="source", canaryReplicas=1, stableReplicas=2)
        project.up()
        outputs = project.outputs()
        canary = outputs["tracks"]["canary"]["image"]
        project.configure(canaryImage=canary)
        yield FrontDoor(trial, authority, outputs["address"], canary)
    finally:
        project.pulumi("cancel", "--yes", check=False)
        keys = dict.fromkeys([*KEYS, "canaryImage", "canaryReplicas", "traffic"])
        project.configure(**keys, stableImage=trial.image, stableReplicas=3)
        project.up("--refresh")


@dataclass
class Browser:
    """A user who keeps cookies; ``seen`` are the versions in order."""

    seen: list[int] = field(default_factory=list[int])
    cookies: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def changes(self) -> int:
        return sum(one != next_one for one, next_one in itertools.pairwise(self.seen))

    async def visit(self, client: Client) -> None:
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        status, headers, _ = await client.exchange("GET", "/version", cookies if self.cookies else {})
        self.seen.append(status)
        if cookie := headers.get("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value


@contextmanager
def browsing(door: FrontDoor, number: int) -> Iterator[Sequence[Browser]]:
    """Let browsers visit in turn while the block runs, each for the first time before it begins."""
    browsers = [Browser() for _ in range(number)]
    first, stop = threading.Event(), threading.Event()

    async def all_visit() -> None:
        client = door.client(kept=4)
        while not stop.is_set():
            for browser in browsers:
                await browser.visit(client)
            first.set()

    def run() -> None:
        try:
            asyncio.run(all_visit())
        finally:
            first.set()

    thread = threading.Thread(target=run)
    thread.start()
    first.wait()
    try:
        yield browsers
    finally:
        stop.set()
        thread.join()
