"""What `diagnose` makes of containers; the messages are those of a real cluster."""

from __future__ import annotations

from typing import Any

import pytest

from promotion.diagnosis.diagnose import examine
from tests.unit.promotion.namespace import (
    CRASHED,
    LONG_AGO,
    RUNNING,
    Told,
    ended,
    event,
    meta,
    only,
    pod,
    snapshot,
    waiting,
)

PULL = 'failed to resolve reference "registry.example/shop": '


@pytest.mark.parametrize(
    ("reason", "said", "cause"),
    [
        ("ErrImagePull", f"{PULL}registry.example/shop@sha256:aa: not found", "image-not-found"),
        ("ErrImagePull", "manifest unknown: manifest unknown", "image-not-found"),
        ("ImagePullBackOff", f"{PULL}failed with status code [manifests 1]: 401 Unauthorized", "image-pull-denied"),
        (
            "ErrImagePull",
            "pull access denied, repository does not exist or may require authorization: authorization failed",
            "image-pull-denied",
        ),
        ("ErrImagePull", f"{PULL}dial tcp 10.0.0.1:443: connect: connection refused", "registry-unreachable"),
        ("ErrImagePull", "lookup registry.example: no such host", "registry-unreachable"),
        ("ErrImagePull", "http: server gave HTTP response to HTTPS client", "registry-unreachable"),
        ("ErrImagePull", "x509: certificate signed by unknown authority", "registry-unreachable"),
        ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit", "image-pull-limit"),
        ("ErrImagePull", "no match for platform in manifest: not found", "image-platform"),
        ("ErrImagePull", "write /var/lib/x: no space left on device", "node-disk-full"),
        ("InvalidImageName", "couldn't parse image name: invalid reference format", "image-name-invalid"),
        ("ErrImageNeverPull", "is not present with pull policy of Never", "image-never-pulled"),
        ("ErrImagePull", "something new", "image-pull-failed"),
        ("CreateContainerConfigError", 'secret "db-params" not found', "missing-secret"),
        ("CreateContainerConfigError", 'configmap "shop-config" not found', "missing-config-map"),
        ("CreateContainerConfigError", "couldn't find key TOKEN in Secret ns/half", "missing-secret-key"),
        ("CreateContainerConfigError", "couldn't find key A in ConfigMap ns/half", "missing-config-map-key"),
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", "runs-as-root"),
        ("CreateContainerConfigError", "image has non-numeric user (app), cannot verify", "runs-as-root"),
        ("CreateContainerConfigError", "something new", "container-config"),
        ("RunContainerError", 'exec: "x": executable file not found in $PATH: unknown', "wrong-command"),
        ("RunContainerError", 'exec: "/x": permission denied: unknown', "wrong-command"),
        ("RunContainerError", "exec /x: exec format error", "image-platform"),
        ("RunContainerError", "something new", "container-start"),
    ],
)
def test_containers_that_never_started(reason: str, said: str, cause: str):
    found = only(pod("shop-canary-1-a", state=waiting(reason, said), phase="Pending"))
    assert found.cause == cause
    assert found.tracks == ("canary",)
    assert said in found.evidence


def test_an_images_own_name_is_not_taken_for_what_is_said_of_it():
    odd = "registry.example/denied-403@sha256:" + "a" * 64
    state = waiting("ErrImagePull", f'failed to resolve reference "{odd}": {odd}: not found')
    broken = pod("shop-canary-1-a", state=state, phase="Pending")
    broken["status"]["containerStatuses"][0]["image"] = odd
    assert only(broken).cause == "image-not-found"


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (ended(3), "crash-at-start"),
        (ended(1, lived=60), "crash-later"),
        (ended(139, lived=60), "crash-later"),
        (ended(137, "OOMKilled"), "out-of-memory"),
        (ended(0, "Completed"), "ends-by-itself"),
        (ended(127), "wrong-command"),
        (ended(126), "wrong-command"),
        (ended(128, "StartError", message='exec: "/x": stat /x: no such file or directory'), "wrong-command"),
        (ended(255, "Unknown", lived=900), "node-restarted"),
    ],
)
def test_containers_that_ended(end: Any, cause: str):
    told = Told({"shop-canary-1-a": ["last words"]})
    found = only(pod("shop-canary-1-a", state=CRASHED, last=end, restarts=4), told=told)
    assert (found.cause, found.log, found.notice) == (cause, ("last words",), False)


def test_an_end_names_code_signal_and_time():
    found = only(pod("shop-canary-1-a", state=CRASHED, last=ended(139, lived=61), restarts=4))
    assert "exit code 139 (SIGSEGV)" in found.what
    assert "ended 61 s after its start" in found.evidence[0]
    assert "4 restarts" in found.evidence[0]


def test_memory_limit_is_named():
    container = {"resources": {"limits": {"memory": "16Mi"}}}
    found = only(pod("shop-canary-1-a", state=CRASHED, last=ended(137, "OOMKilled"), container=container))
    assert "limit of 16Mi" in found.what


@pytest.mark.parametrize("probe", ["liveness", "startup"])
def test_containers_that_a_probe_ended(probe: str):
    broken = pod("shop-canary-1-a", state=CRASHED, last=ended(137), restarts=4)
    killing = event(broken, "Killing", f"Container main failed {probe} probe, will be restarted", "Normal", LONG_AGO)
    assert only(broken, events=[killing]).cause == f"failing-{probe}-probe"


def test_an_old_kill_does_not_explain_a_crash_of_its_own():
    broken = pod("shop-canary-1-a", state=CRASHED, last=ended(1), restarts=4)
    killing = event(broken, "Killing", "Container main failed liveness probe, will be restarted", "Normal", LONG_AGO)
    assert only(broken, events=[killing]).cause == "crash-at-start"


def test_the_previous_containers_log_is_read_while_the_next_one_runs():
    told = Told()
    only(pod("shop-canary-1-a", state=RUNNING, last=ended(1, lived=60), restarts=1), told=told)
    assert told.read == [("shop-canary-1-a", True)]


def test_a_container_that_came_back_is_a_notice():
    found = only(pod("shop-canary-1-a", state=RUNNING, last=ended(1, lived=60), restarts=1, ready=True))
    assert found.notice
    assert "is ready now" in found.what


def test_an_end_of_long_ago_is_forgotten():
    end = ended(1, at="2026-01-01T09:00:00")
    assert examine(snapshot(pods=[pod("a", state=RUNNING, last=end, restarts=1, ready=True)]), Told()) == []


def test_an_end_that_the_kubelet_did_not_see():
    lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
    assert only(pod("shop-canary-1-a", state=CRASHED, last=lost, restarts=1)).cause == "node-restarted"


READINESS = {
    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "timeoutSeconds": 5},
    "ports": [{"name": "http", "containerPort": 3000}],
}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("HTTP probe failed with statuscode: 500", "answered with status 500"),
        ('Get "http://10.0.0.7:3000/ready": dial tcp 10.0.0.7:3000: connect: connection refused', "nothing listens"),
        ('Get "http://10.0.0.7:3000/ready": context deadline exceeded (Client.Timeout)', "no answer within 5 s"),
    ],
)
def test_a_pod_that_is_never_ready(said: str, words: str):
    broken = pod("shop-canary-1-a", state=RUNNING, container=READINESS)
    unhealthy = event(broken, "Unhealthy", f"Readiness probe failed: {said}")
    found = only(broken, events=[unhealthy])
    assert found.cause == "failing-readiness-probe"
    assert "GET /ready on port 3000" in found.what
    assert words in found.what
    assert "10.0.0.7" not in found.what  # else each pod would have a block of its own


@pytest.mark.parametrize(("answer", "words"), [("500: not yet", "with status 500"), ("200: fine", "no answer within")])
def test_an_error_that_a_probe_is_answered_now_outweighs_an_earlier_word(answer: str, words: str):
    broken = pod("shop-canary-1-a", state=RUNNING, container=READINESS)
    unhealthy = event(broken, "Unhealthy", "Readiness probe failed: context deadline exceeded")
    found = only(broken, events=[unhealthy], told=Told(answer=answer))
    assert words in found.what
    assert f"asked now, it answers {answer}" in found.evidence


DATABASE_LINES = {
    "The database cannot be reached: Name or service not known.": "database-unreachable",
    "The database refuses connections: nothing listens on its port.": "database-unreachable",
    'could not translate host name "db" to address: Name or service not known': "database-unreachable",
    "SequelizeConnectionRefusedError: connect ECONNREFUSED 10.0.0.9:5432": "database-unreachable",
    'FATAL: password authentication failed for user "demouser"': "database-login",
    "The database does not let the user in: see DB_USER, DB_PASSWORD and DB_SSL.": "database-login",
    "FATAL: sorry, too many clients already": "database-full",
    'FATAL: database "demo" does not exist': "database-missing",
    'relation "persons" does not exist': "schema-behind",
}


@pytest.mark.parametrize(("line", "cause"), DATABASE_LINES.items())
def test_the_database_is_named_where_the_log_tells_of_it(line: str, cause: str):
    told = Told({"shop-canary-1-a": ["starting", line, "stopping"]})
    assert only(pod("shop-canary-1-a", state=CRASHED, last=ended(1)), told=told).cause == cause


def test_the_database_is_named_where_the_readiness_probe_is_told_of_it():
    broken = pod("shop-canary-1-a", state=RUNNING, container=READINESS)
    unhealthy = event(broken, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500")
    told = Told(answer='500: {"error": "The database did not answer in time."}')
    assert only(broken, events=[unhealthy], told=told).cause == "database-unreachable"


def test_the_databases_own_log_does_not_say_that_it_cannot_reach_itself():
    told = Told({"shop-db-0": ["FATAL: the database system is starting up"]})
    own = pod("shop-db-0", state=CRASHED, last=ended(1), metadata=meta("shop-db-0", track=None, app="shop-db"))
    assert only(own, told=told).cause == "crash-at-start"
