"""One stack on the real cluster for all end-to-end tests of the main job."""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

NAMESPACE = "addressbook-e2e"
CONFIG = {
    "cloud": "local",
    "kubeContext": "addressbook-lab",
    "registry": "10.203.0.1:5000",
    "namespace": NAMESPACE,
    "stableReplicas": 2,
    "rolloutTimeoutSeconds": 60,
}


@pytest.fixture(scope="session")
def stack(lab: dict[str, str], new_project: Callable[..., Any]) -> Iterator[Any]:
    """The addressbook, up with two stable pods; destroyed afterwards, whatever the tests did."""
    project = new_project("e2e", lab, **CONFIG)
    try:
        project.up()
        yield project
    finally:
        project.pulumi("cancel", "--yes", check=False)
        project.pulumi("destroy", "--yes", "--skip-preview", "--refresh", check=False)
        project.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", check=False)


@pytest.fixture
def calm(stack: Any) -> Iterator[Any]:
    """The stack with stable alone, before and after the test."""
    yield stack
    for key in ("canaryImage", "canaryReplicas", "traffic"):
        stack.pulumi("config", "rm", key, check=False)
    stack.configure(stableReplicas="2")
    stack.up("--refresh")


class Api:
    """The addressbook as its users reach it, over the public Service."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and decoded JSON of one request on a connection of its own."""
        import json

        data = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def store(self, first: str, last: str) -> dict[str, Any]:
        status, person = self.call("PUT", "/person", {"firstName": first, "lastName": last})
        assert status == 200, person
        return person


@pytest.fixture
def api(stack: Any) -> Api:
    return Api(stack.outputs()["url"])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Poll until the condition holds; connection errors count as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.3)
    pytest.fail(f"after {seconds:.0f} s still not: {what}")


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until
