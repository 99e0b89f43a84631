"""A trial from its begin to its end, on a cluster that is played: its pods' metrics come by real HTTP from here."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from kubernetes.client import V1Deployment, V1Pod

from promotion.errors import INCONCLUSIVE, WRONG_USE, CommandError
from promotion.state.cluster.cluster import Cluster, Track, UnreachableError
from promotion.verdict import Verdict, judge
from promotion.verdict.table import verdict_text
from promotion.verdict.trial import default_interval

DIGESTS = {"canary": f"sha256:{'c' * 64}", "stable": f"sha256:{'a' * 64}"}
SECONDS, EVERY = 0.5, 0.05
NAMES = ["readiness", "restarts", "addressbook ping", "addressbook migrate", "round trip", "errors", "refusals"]


@dataclass
class Played:
    """A cluster with one pod a track; each reading of its metrics finds some more requests."""

    replicas: dict[str, int] = field(default_factory=lambda: {"canary": 1, "stable": 1})
    failing: dict[str, float] = field(default_factory=lambda: {"canary": 0.0, "stable": 0.0})
    per_reading: int = 100
    unready: set[str] = field(default_factory=set[str])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    broken_commands: set[str] = field(default_factory=set[str])
    silent: set[str] = field(default_factory=set[str])
    addressbook: bool = True
    forgets: set[str] = field(default_factory=set[str])
    ran: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    readings: dict[str, int] = field(default_factory=lambda: {"canary": 0, "stable": 0})
    persons: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    images: dict[str, str] = field(default_factory=lambda: dict(DIGESTS))
    port: int = 0

    def deployment(self, track: Track) -> V1Deployment | None:
        if not self.replicas[track]:
            return None
        container = {"name": "addressbook", "image": f"registry/addressbook@{self.images[track]}"}
        return V1Deployment.from_dict(
            {
                "metadata": {"name": f"addressbook-{track}"},
                "spec": {
                    "replicas": self.replicas[track],
                    "progressDeadlineSeconds": 1,
                    "selector": {"matchLabels": {}},
                    "template": {"metadata": {}, "spec": {"containers": [container]}},
                },
                "status": {},
            }
        )

    def current_pods(self, track: Track) -> list[V1Pod]:
        reason = self.waiting.get(track)
        state = {"waiting": {"reason": reason}} if reason else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        ready = "False" if track in self.unready or reason else "True"
        status = {"name": "addressbook", "image": "", "imageID": "", "ready": True, "restartCount": 0, "state": state}
        probe = {"httpGet": {"path": "/ready", "port": "http"}}
        ports = [{"name": "metrics", "containerPort": 9464}]
        pod = V1Pod.from_dict(
            {
                "metadata": {"name": f"{track}-pod", "uid": track, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "addressbook", "ports": ports, "readinessProbe": probe}]},
                "status": {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [status]},
            }
        )
        assert pod is not None
        return [pod]

    def exec(self, pod: V1Pod, command: Sequence[str]) -> tuple[int, str]:
        track, words = str(cast(Any, pod).metadata.uid), " ".join(command)
        self.ran.append((track, words))
        return (1, "it\ncannot") if f"{track} {words}" in self.broken_commands else (0, "")

    def through_service(
        self, track: Track, method: str, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, str]:
        if method == "PUT":
            number = len(self.persons) + 1
            self.persons[number] = {"id": number, **(form or {})}
            return 200, json.dumps(self.persons[number])
        number = int(path.rpartition("/")[2])
        if number not in self.persons or (method == "GET" and track in self.forgets):
            return 404, "{}"
        return 200, json.dumps(self.persons.pop(number) if method == "DELETE" else self.persons[number])

    @contextmanager
    def forward(self, pod: V1Pod, port: int) -> Generator[http.client.HTTPConnection]:
        track = str(cast(Any, pod).metadata.uid)
        if track in self.silent:
            raise UnreachableError(f"pod {track}-pod, port {port} does not answer")
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.putheader = _with_track(connection, track)
        try:
            yield connection
        finally:
            connection.close()

    def metrics(self, track: str) -> str:
        self.readings[track] += 1
        answered = self.per_reading * self.readings[track]
        failed = round(answered * self.failing[track])
        route = 'method="GET",route="/all"'
        lines = [
            "# TYPE http_requests_total counter",
            f'http_requests_total{{{route},status="200"}} {answered - failed}',
            f'http_requests_total{{{route},status="500"}} {failed}',
            f'http_requests_total{{method="GET",route="/ready",status="500"}} {answered}',
            *(
                f'http_request_duration_seconds_bucket{{{route},le="{bound}"}} {answered * share}'
                for bound, share in (("0.001", 0.9), ("0.0025", 1), ("0.005", 1), ("+Inf", 1))
            ),
            'addressbook_build_info{version="1"} 1' if self.addressbook else "",
        ]
        return "\n".join(lines) + "\n"


def _with_track(connection: http.client.HTTPConnection, track: str) -> Any:
    """Say with each request which pod it is for, as the port-forward does."""
    put = connection.putheader

    def putheader(header: str | bytes, *values: Any) -> None:
        put(header, *values)
        if header == "Accept-Encoding":
            put("X-Track", track)

    return putheader


@pytest.fixture
def played() -> Generator[Played]:
    cluster = Played()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = cluster.metrics(self.headers["X-Track"]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    cluster.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield cluster
    server.shutdown()
    server.server_close()
    thread.join()


def verdict_of(played: Played, **more: Any) -> Verdict:
    return judge(cast(Cluster, played), SECONDS, lambda _: None, EVERY, **more)


def results(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.result for check in verdict.checks}


def test_a_good_canary_is_healthy_in_every_check(played: Played) -> None:
    verdict = verdict_of(played)
    assert verdict.result == "healthy", verdict_text(verdict)
    assert [*results(verdict)] == [*NAMES, "median latency", "tail latency"]
    assert verdict.digest == DIGESTS["canary"]
    assert verdict.recorded == f"healthy {DIGESTS['canary']} {verdict.ended:%Y-%m-%dT%H:%M:%SZ}"
    assert played.persons == {}  # the round trip leaves nobody behind
    errors = next(check for check in verdict.checks if check.name == "errors")
    assert errors.samples == "1000 canary, 1000 stable, 10 intervals"  # neither probes nor what was before


def test_errors_end_the_trial_early(played: Played) -> None:
    played.failing["canary"] = 0.2
    verdict = verdict_of(played)
    assert verdict.result == "unhealthy"
    assert played.readings["canary"] < SECONDS / EVERY
    assert verdict.reasons[0].startswith("errors: 20.0 % of the canary's requests are answered with an error")


def test_errors_at_both_tracks_are_not_the_canarys(played: Played) -> None:
    played.failing = {"canary": 0.2, "stable": 0.2}
    assert results(verdict_of(played))["errors"] != "unhealthy"


def test_a_lost_canary_is_told_without_traffic(played: Played) -> None:
    played.waiting["canary"] = "ImagePullBackOff"
    verdict = verdict_of(played)
    assert verdict.result == "unhealthy"
    assert verdict.reasons == [
        "readiness: once not ready when looked at; pod canary-pod: ImagePullBackOff: its image cannot be pulled"
    ]
    assert results(verdict)["errors"] == "inconclusive"
    assert played.readings["canary"] == 0
    assert played.ran == []


def test_a_canary_that_never_becomes_ready_is_unhealthy_after_its_rollouts_deadline(played: Played) -> None:
    played.unready.add("canary")
    verdict = verdict_of(played)
    assert verdict.result == "unhealthy"
    assert "0 of 1 pods became ready in time" in verdict.reasons[0]


def test_a_command_that_fails_in_the_canary_is_unhealthy(played: Played) -> None:
    played.broken_commands.add("canary addressbook ping")
    verdict = verdict_of(played)
    assert results(verdict)["addressbook ping"] == "unhealthy"
    assert verdict.reasons == ["addressbook ping: exit code 1: cannot"]
    assert results(verdict)["addressbook migrate"] == "healthy"  # every check is made


def test_a_command_that_fails_at_stable_too_says_nothing_of_the_canary(played: Played) -> None:
    played.broken_commands |= {"canary addressbook ping", "stable addressbook ping"}
    verdict = verdict_of(played)
    assert verdict.result == "inconclusive"
    assert "it fails at stable too" in verdict.reasons[0]


def test_a_round_trip_that_forgets_is_unhealthy_and_leaves_nobody_behind(played: Played) -> None:
    played.forgets.add("canary")
    verdict = verdict_of(played)
    assert results(verdict)["round trip"] == "unhealthy"
    assert played.persons == {}


def test_another_service_is_asked_for_nothing_that_is_the_addressbooks(played: Played) -> None:
    played.addressbook = False
    verdict = verdict_of(played)
    assert verdict.result == "healthy"
    assert [*results(verdict)][:3] == ["readiness", "restarts", "errors"]
    assert played.ran == []


def test_commands_of_its_own_are_run_instead(played: Played) -> None:
    played.addressbook = False
    verdict_of(played, commands=[["./check", "--all"]])
    assert played.ran == [("canary", "./check --all")]


def test_metrics_that_cannot_be_read_are_their_own_reason(played: Played) -> None:
    played.silent.add("canary")
    verdict = verdict_of(played)
    assert verdict.result == "inconclusive"
    assert verdict.reasons == [
        "errors, refusals, median latency, tail latency: metrics unreachable: pod canary-pod, port 9464 does not answer"
    ]


def test_too_little_traffic_is_inconclusive(played: Played) -> None:
    played.per_reading = 2
    verdict = verdict_of(played)
    assert verdict.result == "inconclusive"
    assert "20 at the canary and 20 at stable in 10 intervals, where 300 at each" in verdict.reasons[0]


def test_without_a_canary_there_is_nothing_to_judge(played: Played) -> None:
    played.replicas["canary"] = 0
    with pytest.raises(CommandError, match="there is no canary to judge") as raised:
        verdict_of(played)
    assert raised.value.code == WRONG_USE


def test_an_image_that_is_changed_meanwhile_ends_the_trial(played: Played) -> None:
    def say(_: str) -> None:
        played.images["stable"] = f"sha256:{'b' * 64}"

    with pytest.raises(CommandError, match="stable's image was changed during the trial"):
        judge(cast(Cluster, played), SECONDS, say, EVERY)


def test_a_cluster_that_does_not_answer_judges_nobody(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Track) -> None:
        raise UnreachableError("the cluster does not answer")

    monkeypatch.setattr(played, "deployment", gone)
    with pytest.raises(CommandError, match="cannot be judged: the cluster does not answer") as raised:
        verdict_of(played)
    assert raised.value.code == INCONCLUSIVE


def test_the_text_shows_each_check_with_value_limit_samples_and_rule(played: Played) -> None:
    played.failing["canary"] = 0.2
    text = verdict_text(verdict_of(played))
    row = next(line for line in text.splitlines() if line.startswith("✗  errors"))
    assert "20.0 %, stable 0.0 % (+20.0 points)" in row
    assert "+1.0 points" in row
    assert "share of requests answered 5xx, canary less stable" in text
    assert f"UNHEALTHY  {DIGESTS['canary']}" in text
    assert max(map(len, text.splitlines()[:-2])) <= 120
    assert "canary  ████████████████████████████████ 20.0 %" in text


def test_looks_fit_the_length_of_the_trial() -> None:
    assert [default_interval(seconds) for seconds in (20, 60, 90, 300, 3600)] == [2, 2, 3, 10, 10]
