"""Stacks on the lab's cluster that several end-to-end tests share."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import config as kubeconfigs

from promotion.state.cluster.cluster import Cluster
from tests.e2e import broken_states
from tests.e2e.trial import CANDIDATE, RELEASE_KEYS, ROLLOUT_SECONDS, Trial, trial_config
from tests.project import Project

CONTEXT = "addressbook-lab"
NAMESPACE = "addressbook-e2e"
BROKEN_NAMESPACE = "diagnose-e2e"
CONFIG = {
    "cloud": "local",
    "kubeContext": CONTEXT,
    "registry": "10.203.0.1:5000",
    "namespace": NAMESPACE,
    "stableReplicas": 2,
    "rolloutTimeoutSeconds": 60,
    "preStopSeconds": 1,  # no users here who could notice
}


#: An encrypted value in a stack's state.
CIPHERTEXT = re.compile(r'"ciphertext": "[^"]*"')


def take_away(project: Project, namespace: str) -> None:
    """Destroy a stack and its namespace, in whatever state a test has left them."""
    project.pulumi("cancel", "--yes", check=False)
    project.pulumi("destroy", "--yes", "--skip-preview", "--refresh", check=False)
    project.delete_namespaces(namespace)


@pytest.fixture(scope="session")
def stack(lab: dict[str, str], new_project: Callable[..., Project]) -> Iterator[Project]:
    """The addressbook with two stable pods."""
    project = new_project("e2e", lab, **CONFIG)
    project.delete_namespaces(NAMESPACE)
    try:
        project.up()
        yield project
    finally:
        take_away(project, NAMESPACE)


@pytest.fixture(scope="session")
def login_registry(lab: dict[str, str]) -> Iterator[None]:
    """A registry in the lab's network that refuses everybody without a login."""
    command = ["nsenter", f"--net=/run/netns/{CONTEXT}", sys.executable, "-c", broken_states.LOGIN_REGISTRY]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def broken(stack: Project, login_registry: None) -> Iterator[Cluster]:
    """A namespace with all broken objects at once."""
    image = stack.outputs()["tracks"]["stable"]["image"]
    stack.delete_namespaces(BROKEN_NAMESPACE)
    stack.kubectl("create", "namespace", BROKEN_NAMESPACE)
    try:
        stack.kubectl("label", "namespace", BROKEN_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        applied = subprocess.run(
            ["kubectl", "--context", CONTEXT, "apply", "-n", BROKEN_NAMESPACE, "-f", "-"],
            input=json.dumps(broken_states.manifests(image)),
            env=stack.environment,
            capture_output=True,
            text=True,
        )
        assert applied.returncode == 0, applied.stderr
        client = kubeconfigs.new_client_from_config(config_file=stack.environment["KUBECONFIG"], context=CONTEXT)
        yield Cluster(client, BROKEN_NAMESPACE, broken_states.SERVICE)
    finally:
        stack.kubectl("delete", "namespace", BROKEN_NAMESPACE, "--wait=false", check=False)


@pytest.fixture(autouse=True)
def break_early(request: pytest.FixtureRequest) -> None:
    """Create the broken objects with the stack: they show their causes while the stack's other tests run."""
    needed = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    if "stack" in request.fixturenames and "broken" in needed:
        request.getfixturevalue("broken")


def deployed(project: Project) -> dict[str, str]:
    """Return the inputs of each resource in the state, without the secrets, which are encrypted anew each time."""
    inputs = {each["urn"]: json.dumps(each.get("inputs"), sort_keys=True) for each in project.state()["resources"]}
    return {urn: CIPHERTEXT.sub("", text) for urn, text in inputs.items()}


@pytest.fixture(scope="session")
def deployed_at_first(stack: Project) -> dict[str, str]:
    return deployed(stack)


@pytest.fixture
def calm(stack: Project, deployed_at_first: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Project]:
    """The stack, brought back to stable alone after the test, unless a passed test has done so itself."""
    failed = request.session.testsfailed
    yield stack
    stack.configure(stableReplicas=2, canaryImage=None, canaryReplicas=None, traffic=None)
    if request.session.testsfailed > failed or deployed(stack) != deployed_at_first:
        stack.up("--refresh")


@pytest.fixture(scope="session")
def trial_stack(lab: dict[str, str], new_project: Callable[..., Project], worker: str) -> Iterator[Trial]:
    """The addressbook with three stable pods, pinned, and a build context for versions to try."""
    config = trial_config(worker)
    project = new_project("trial", lab, **config)
    project.delete_namespaces(config["namespace"])
    try:
        project.up()
        trial = Trial(project, project.outputs()["tracks"]["stable"]["image"], config["namespace"])
        trial.candidate("good")
        project.configure(stableImage=trial.image, buildContext=CANDIDATE, rolloutTimeoutSeconds=ROLLOUT_SECONDS)
        project.up()
        yield trial
    finally:
        take_away(project, config["namespace"])


@pytest.fixture
def trial(trial_stack: Trial) -> Iterator[Trial]:
    """The trial stack, brought back to three pods of some healthy stable alone after the test."""
    yield trial_stack
    project, keys = trial_stack.project, trial_stack.config()
    project.configure(canaryVerdict=None)
    if keys.keys() > {"stableImage", "stableReplicas"} or keys.get("stableReplicas") != "3":
        project.pulumi("cancel", "--yes", check=False)
        project.configure(**{**dict.fromkeys(RELEASE_KEYS), "stableImage": trial_stack.image, "stableReplicas": 3})
        project.up("--refresh")


class Api:
    """The addressbook as its users reach it, over the public Service."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send a request on a connection of its own; return its status and decoded JSON."""
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def store(self, first: str, last: str) -> dict[str, Any]:
        """Create a person and return it."""
        status, person = self.call("PUT", "/person", {"firstName": first, "lastName": last})
        assert status == 200, person
        return person


@pytest.fixture
def api(stack: Project) -> Api:
    return Api(stack.outputs()["url"])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Poll until the condition holds; a connection error means not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.3)
    pytest.fail(f"not within {seconds:.0f} s: {what}")


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until
