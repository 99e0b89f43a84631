"""A Gateway on the lab's cluster, with the Gateway API's own definitions. The test is the controller of the class."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab import golang
from lab.layout import Lab
from tests.e2e.conftest import NAMESPACE
from tests.project import Project

#: The version whose definitions the objects must follow.
MODULE = "sigs.k8s.io/gateway-api@v1.4.1"
KINDS = ("gatewayclasses", "gateways", "httproutes")
KEYS = {"hostname": "addressbook.example.com", "gateway": "of-the-test", "tls": "addressbook-tls"}
ADDRESS = "203.0.113.8"
PROGRAMMED = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": ""}
#: Seconds until the Gateway must exist.
PATIENCE = 60


@pytest.fixture(scope="module")
def definitions() -> Path:
    """The folder with the definitions of the Gateway API, from its Go module."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    command = [str(golang.find(Lab.from_environment())), "mod", "download", "-json", MODULE]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    return Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "standard"


@pytest.fixture
def known(stack: Project, definitions: Path) -> Iterator[Project]:
    """The e2e stack on a cluster that knows Gateways, and brought back afterwards."""
    files = [str(definitions / f"gateway.networking.k8s.io_{kind}.yaml") for kind in KINDS]
    given = [argument for file in files for argument in ("-f", file)]
    stack.kubectl("apply", "--server-side", *given)
    stack.kubectl("wait", "--for=condition=Established", "--timeout=30s", *given)
    try:
        yield stack
    finally:
        stack.configure(**dict.fromkeys(KEYS))
        stack.up()
        stack.kubectl("delete", *given, "--wait=false")


def program(stack: Project) -> dict[str, Any]:
    """Do the controller's part as soon as there is a Gateway; return the Gateway as it was."""
    deadline = time.monotonic() + PATIENCE
    while not (found := stack.objects("gateways", NAMESPACE)):
        assert time.monotonic() < deadline, "there is no Gateway"
        time.sleep(0.5)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {**PROGRAMMED, "lastTransitionTime": now}
    status = {"status": {"conditions": [condition], "addresses": [{"type": "IPAddress", "value": ADDRESS}]}}
    patch = ["--subresource=status", "--type=merge", "-p", json.dumps(status)]
    stack.kubectl("patch", "gateway", "addressbook", "-n", NAMESPACE, *patch)
    return found[0]


def dry_run(stack: Project, document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Ask the API server whether it would take the object."""
    command = ["kubectl", "--context", "addressbook-lab", "create", "--dry-run=server", "-f", "-"]
    return subprocess.run(command, env=stack.environment, input=json.dumps(document), capture_output=True, text=True)


def test_up_ends_once_the_gateway_is_programmed(known: Project):
    known.configure(**KEYS)
    with ThreadPoolExecutor() as thread:
        update = thread.submit(known.up)
        before = program(known)
        update.result()
    waiting = {each["type"]: each["status"] for each in before["status"]["conditions"]}
    assert waiting["Programmed"] == "Unknown", "so `up` was waiting"
    outputs = known.outputs()
    assert outputs["url"] == "https://addressbook.example.com"
    assert outputs["address"] == ADDRESS
    assert set(known.preview_steps()) == set(), "what the API server adds is no change"
    (service,) = [each for each in known.objects("services", NAMESPACE) if each["metadata"]["name"] == "addressbook-lb"]
    assert service["spec"]["type"] == "ClusterIP"
    routes = {each["metadata"]["name"]: each["spec"] for each in known.objects("httproutes", NAMESPACE)}
    assert routes["addressbook-https"]["rules"][0]["backendRefs"][0]["weight"] == 1
    assert routes["addressbook-http"]["rules"][0]["filters"][0]["requestRedirect"]["scheme"] == "https"

    # A managed Gateway has a named address, and a certificate that its listener does not name.
    spec = {**before["spec"], "addresses": [{"type": "NamedAddress", "value": "ours-gateway"}]}
    for listener in spec["listeners"]:
        listener.pop("tls", None)
    metadata = {"name": "managed", "namespace": NAMESPACE, "annotations": {"networking.gke.io/certmap": "ours"}}
    done = dry_run(known, {"apiVersion": before["apiVersion"], "kind": "Gateway", "metadata": metadata, "spec": spec})
    assert done.returncode == 0, done.stderr
