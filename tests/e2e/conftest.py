"""One stack on the real cluster for all end-to-end tests of the main job."""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.trial import CANDIDATE, Trial
from tests.e2e.trial import CONFIG as CONFIG_OF_TRIAL
from tests.e2e.trial import NAMESPACE as TRIAL_NAMESPACE

NAMESPACE = "addressbook-e2e"
CONFIG = {
    "cloud": "local",
    "kubeContext": "addressbook-lab",
    "registry": "10.203.0.1:5000",
    "namespace": NAMESPACE,
    "stableReplicas": 2,
    "rolloutTimeoutSeconds": 60,
}


def take_away(project: Any, namespace: str) -> None:
    """Destroy a stack and its namespace, in whatever state a test has left them."""
    project.pulumi("cancel", "--yes", check=False)
    project.pulumi("destroy", "--yes", "--skip-preview", "--refresh", check=False)
    project.kubectl("delete", "namespace", namespace, "--ignore-not-found", check=False)


@pytest.fixture(scope="session")
def stack(lab: dict[str, str], new_project: Callable[..., Any]) -> Iterator[Any]:
    """The addressbook, up with two stable pods; destroyed afterwards, whatever the tests did."""
    project = new_project("e2e", lab, **CONFIG)
    try:
        project.up()
        yield project
    finally:
        take_away(project, NAMESPACE)


@pytest.fixture
def calm(stack: Any) -> Iterator[Any]:
    """The stack with stable alone, before and after the test."""
    yield stack
    for key in ("canaryImage", "canaryReplicas", "traffic"):
        stack.pulumi("config", "rm", key, check=False)
    stack.configure(stableReplicas="2")
    stack.up("--refresh")


@pytest.fixture(scope="session")
def trial_stack(lab: dict[str, str], new_project: Callable[..., Any]) -> Iterator[Trial]:
    """The addressbook with three stable pods, pinned, and a build context for versions to try; gone afterwards."""
    project = new_project("trial", lab, **CONFIG_OF_TRIAL)
    try:
        project.up()
        trial = Trial(project, project.outputs()["tracks"]["stable"]["image"])
        trial.candidate("good")
        project.configure(stableImage=trial.image, buildContext=CANDIDATE)
        project.up()
        yield trial
    finally:
        take_away(project, TRIAL_NAMESPACE)


@pytest.fixture
def trial(trial_stack: Trial) -> Iterator[Trial]:
    """The stack with stable alone, on the image it began with, before and after the test."""
    yield trial_stack
    project = trial_stack.project
    project.pulumi("cancel", "--yes", check=False)
    for key in ("canaryImage", "canaryReplicas", "canaryVerdict", "traffic"):
        project.pulumi("config", "rm", key, check=False)
    project.configure(stableImage=trial_stack.image, stableReplicas="3")
    project.up("--refresh")


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
