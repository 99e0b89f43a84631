"""The main job on real parts: engine, image build, registry, Kubernetes, PostgreSQL and HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMESPACE = "addressbook-e2e"
UNKNOWN_DIGEST = "sha256:" + "0" * 64
Until = Callable[..., None]


def ready_pods(stack: Any, track: str) -> list[dict[str, Any]]:
    pods = stack.objects("pods", NAMESPACE, f"app=addressbook,track={track}")
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]


def requests_served(pods: list[dict[str, Any]], route: str) -> int:
    """Return how many requests to a route the pods count in their own metrics."""
    total = 0.0
    for pod in pods:
        url = f"http://{pod['status']['podIP']}:9464/metrics"
        with urllib.request.urlopen(url, timeout=5) as response:
            for line in response.read().decode().splitlines():
                if line.startswith("http_requests_total{") and f'route="{route}"' in line:
                    total += float(line.rsplit(" ", 1)[1])
    return int(total)


def test_public_service_serves_the_whole_api(api: Any):
    ada = api.store("Ada", "Lovelace")
    assert {"id", "firstName", "lastName", "createdAt", "updatedAt"} <= ada.keys()
    assert api.call("GET", f"/person/{ada['id']}") == (200, ada)
    status, everyone = api.call("GET", "/all")
    assert status == 200
    assert ada in everyone
    changed = {"id": str(ada["id"]), "firstName": "Augusta", "lastName": "King"}
    assert api.call("PUT", "/person", changed)[1]["firstName"] == "Augusta"
    assert api.call("GET", "/ready") == (200, {"ready": True})
    assert api.call("GET", "/nowhere")[0] == 404
    assert api.call("DELETE", f"/person/{ada['id']}")[0] in (200, 204)
    assert api.call("GET", f"/person/{ada['id']}")[0] == 404


def test_metrics_are_not_public(api: Any):
    assert api.call("GET", "/metrics")[0] == 404


def test_expected_objects_exist_and_are_ready(stack: Any):
    kinds = "deployments,services,pods,jobs,poddisruptionbudgets,networkpolicies,statefulsets,persistentvolumeclaims"
    existing = {(o["kind"], o["metadata"]["name"]) for o in stack.objects(kinds, NAMESPACE)}
    assert {
        ("Deployment", "addressbook-stable"),
        ("Service", "addressbook-lb"),
        ("Service", "addressbook-stable"),
        ("PodDisruptionBudget", "addressbook"),
        ("NetworkPolicy", "addressbook"),
        ("StatefulSet", "addressbook-db"),
        ("PersistentVolumeClaim", "addressbook-db"),
    } <= existing
    assert len(ready_pods(stack, "stable")) == 2
    (job,) = stack.objects("jobs", NAMESPACE)
    assert job["status"]["succeeded"] == 1


def test_pods_run_an_image_by_digest(stack: Any):
    running = {container["image"] for pod in ready_pods(stack, "stable") for container in pod["spec"]["containers"]}
    assert running == {stack.outputs()["tracks"]["stable"]["image"]}
    (image,) = running
    repository, digest = image.split("@")
    registry, name = repository.split("/", 1)
    request = urllib.request.Request(
        f"http://{registry}/v2/{name}/manifests/{digest}",
        headers={
            "Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        },
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["Docker-Content-Digest"] == digest


def test_second_up_changes_nothing(stack: Any):
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes")


def test_config_alone_runs_a_canary_beside_stable(calm: Any, api: Any):
    before = {pod["metadata"]["uid"] for pod in ready_pods(calm, "stable")}
    calm.configure(canaryImage="source", canaryReplicas=2)
    steps = {re.sub(r"-[0-9a-f]{10}$", "", name) for name in calm.preview_steps()}  # without the hash of the settings
    assert steps == {"canary", "addressbook-canary", "addressbook-canary-config"}
    calm.up()
    canary, stable = ready_pods(calm, "canary"), ready_pods(calm, "stable")
    assert len(canary) == 2
    assert {pod["metadata"]["uid"] for pod in stable} == before, "stable's pods were not touched"
    assert calm.outputs()["tracks"]["canary"]["share"] == 50.0

    # Each connection goes to a random ready pod: of 400, 200 are expected here. The bounds are 6 standard deviations.
    served = requests_served(canary, "/all")
    for _ in range(400):
        assert api.call("GET", "/all")[0] == 200
    assert 140 < requests_served(canary, "/all") - served < 260

    calm.configure(canaryReplicas=3)
    steps = calm.preview_steps()
    assert set(steps) == {"addressbook-canary"}
    assert set(steps["addressbook-canary"]["detailedDiff"]) == {"spec.replicas"}
    calm.up()
    assert len(ready_pods(calm, "canary")) == 3

    calm.configure(canaryImage=None, canaryReplicas=None)
    calm.up()
    assert calm.objects("deployments,services,jobs", NAMESPACE, "track=canary") == []
    assert {pod["metadata"]["uid"] for pod in ready_pods(calm, "stable")} == before


def test_traffic_key_selects_the_track_users_reach(calm: Any):
    def endpoints() -> set[str]:
        slices = calm.objects("endpointslices", NAMESPACE, "kubernetes.io/service-name=addressbook-lb")
        return {a for s in slices for e in s["endpoints"] or [] if e["conditions"]["ready"] for a in e["addresses"]}

    def addresses(track: str) -> set[str]:
        return {pod["status"]["podIP"] for pod in ready_pods(calm, track)}

    calm.configure(canaryImage="source", canaryReplicas=1, traffic="stable")
    calm.up()
    assert endpoints() == addresses("stable")
    calm.configure(traffic="canary")
    calm.up()
    assert endpoints() == addresses("canary")
    calm.configure(traffic="split")
    calm.up()
    assert endpoints() == addresses("stable") | addresses("canary")


def test_replicas_follow_config(calm: Any):
    calm.configure(stableReplicas=3)
    assert set(calm.preview_steps()["addressbook-stable"]["detailedDiff"]) >= {"spec.replicas"}
    calm.up()
    assert len(ready_pods(calm, "stable")) == 3


def test_manual_scaling_is_detected_and_undone(calm: Any, until: Until):
    calm.kubectl("scale", "deployment/addressbook-stable", "-n", NAMESPACE, "--replicas=1")
    assert "addressbook-stable" in calm.preview_steps("--refresh")
    calm.up("--refresh")
    until(lambda: len(ready_pods(calm, "stable")) == 2, "two stable pods")
    calm.pulumi("preview", "--refresh", "--expect-no-changes")


def test_data_survives_pod_and_database_restarts(stack: Any, api: Any, until: Until):
    person = api.store("Grace", "Hopper")
    for pod in ready_pods(stack, "stable"):
        stack.kubectl("delete", "pod", "-n", NAMESPACE, pod["metadata"]["name"], "--wait=false")
    until(lambda: api.call("GET", f"/person/{person['id']}") == (200, person), "the person from new pods")

    (database,) = stack.objects("pods", NAMESPACE, "app=addressbook-db")
    stack.kubectl("delete", "pod", "-n", NAMESPACE, database["metadata"]["name"], "--grace-period=0", "--force")
    until(
        lambda: api.call("GET", f"/person/{person['id']}") == (200, person),
        "the person is served from a restarted database",
    )
    until(lambda: len(ready_pods(stack, "stable")) == 2, "two stable pods")
    restarts = [s["restartCount"] for pod in ready_pods(stack, "stable") for s in pod["status"]["containerStatuses"]]
    assert restarts == [0, 0], "the service waited for the database instead of crashing"
    assert api.call("DELETE", f"/person/{person['id']}")[0] in (200, 204)


def test_canary_that_cannot_start_leaves_stable_alone(calm: Any, api: Any, until: Until):
    def stable() -> set[str]:
        return {pod["metadata"]["uid"] for pod in ready_pods(calm, "stable")}

    until(lambda: len(stable()) == 2, "two stable pods")
    before = stable()
    repository = calm.outputs()["tracks"]["stable"]["image"].split("@")[0]
    calm.configure(
        canaryImage=f"{repository}@{UNKNOWN_DIGEST}", canaryReplicas=1, stableReplicas=1, rolloutTimeoutSeconds=10
    )
    failed = calm.up(check=False)
    assert failed.returncode != 0
    assert "addressbook-canary" in failed.stdout + failed.stderr
    until(lambda: stable() == before, "stable keeps its pods while it waits for the canary", 10)
    assert api.call("GET", "/ready")[0] == 200
    calm.configure(canaryImage=None, canaryReplicas=None, stableReplicas=2, rolloutTimeoutSeconds=60)
    calm.up()
    until(lambda: stable() == before, "stable keeps its pods", 10)
    assert calm.objects("jobs", NAMESPACE, "track=canary") == []


def test_database_password_is_never_shown(stack: Any):
    (secret,) = [s for s in stack.objects("secrets", NAMESPACE) if s["metadata"]["name"] == "db-params"]
    import base64

    password = base64.b64decode(secret["data"]["DB_PASSWORD"]).decode()
    assert len(password) >= 20
    encoded = secret["data"]["DB_PASSWORD"]
    visible = {
        "state": json.dumps(stack.state()),
        "preview": stack.pulumi("preview", "--diff").stdout,
        "outputs": json.dumps(stack.outputs()),
        "files": "".join(path.read_text(errors="replace") for path in Path(stack.folder).glob("*.yaml")),
        "logs": stack.kubectl("logs", "-n", NAMESPACE, "deployment/addressbook-stable", "--tail=-1").stdout,
        "processes": subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout,
        "pods": json.dumps(stack.objects("pods", NAMESPACE)),
    }
    for where, text in visible.items():
        assert text, where
        assert password not in text, where
        assert encoded not in text, where


def test_preview_builds_and_pushes_nothing(calm: Any):
    marker = Path(calm.folder) / "app" / "addressbook" / "edited.txt"
    marker.write_text(f"edited at {time.time()}\n")
    try:
        repository, _, tag = calm.preview_steps()["source"]["newState"]["inputs"]["imageName"].rpartition(":")
        registry, name = repository.split("/", 1)
        with urllib.request.urlopen(f"http://{registry}/v2/{name}/tags/list", timeout=10) as response:
            assert tag not in json.loads(response.read())["tags"]
    finally:
        marker.unlink()
    assert calm.preview_steps() == {}


@pytest.mark.parametrize("name", ["addressbook-stable", "addressbook-db"])
def test_service_names_resolve_in_the_cluster(stack: Any, name: str):
    pod = ready_pods(stack, "stable")[0]["metadata"]["name"]
    script = f"import socket; print(socket.gethostbyname('{name}.{NAMESPACE}.svc'))"
    done = stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "python", "-c", script, check=False)
    assert done.returncode == 0, done.stderr


def test_functional_commands_run_in_the_pod(stack: Any):
    pod = ready_pods(stack, "stable")[0]["metadata"]["name"]
    for command in ("ping", "migrate", "test"):
        done = stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "addressbook", command, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
