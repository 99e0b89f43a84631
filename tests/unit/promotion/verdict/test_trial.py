"""Whole trials on a fake cluster, whose pods' metrics come by real HTTP from this test."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from contract.settings import VerdictKeys
from promotion.errors import INCONCLUSIVE, WRONG_USE, CommandError
from promotion.state.cluster.cluster import Cluster, Track, UnreachableError
from promotion.state.cluster.pods import Deployment, Pod
from promotion.verdict import Verdict, judge
from promotion.verdict.observation import Observation
from promotion.verdict.sources import WAYS_OUT
from promotion.verdict.table import verdict_text
from promotion.verdict.trial import Trial, default_interval

DIGESTS = {"canary": f"sha256:{'c' * 64}", "stable": f"sha256:{'a' * 64}"}
SECONDS, EVERY = 0.5, 0.05
COMMANDS = [["addressbook", "ping"], ["addressbook", "migrate"]]
REQUESTS: list[dict[str, Any]] = [
    {"send": "PUT /person", "form": {"firstName": "Test", "lastName": "Request"}, "save": ["id"]},
    {"send": "GET /person/{id}", "answer": {"firstName": "Test"}},
    {"send": "DELETE /person/{id}"},
    {"send": "GET /person/{id}", "status": 404},
]
ADDRESSBOOK = VerdictKeys.model_validate({"testRequests": REQUESTS})
NAMES = ["readiness", "restarts", "addressbook ping", "addressbook migrate", "test requests", "errors", "refusals"]


@dataclass
class FakeCluster:
    """A cluster with one pod per track; each reading of its metrics shows more requests."""

    replicas: dict[str, int] = field(default_factory=lambda: {"canary": 1, "stable": 1})
    failing: dict[str, float] = field(default_factory=lambda: {"canary": 0.0, "stable": 0.0})
    per_reading: int = 100
    unready: set[str] = field(default_factory=set[str])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    broken_commands: set[str] = field(default_factory=set[str])
    silent: set[str] = field(default_factory=set[str])
    forgets: set[str] = field(default_factory=set[str])
    ran: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    readings: dict[str, int] = field(default_factory=lambda: {"canary": 0, "stable": 0})
    persons: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    images: dict[str, str] = field(default_factory=lambda: dict(DIGESTS))
    port: int = 0
    ready_since: str = "2026-01-01T00:00:00Z"
    routes: dict[str, str] = field(default_factory=lambda: {"canary": "/all", "stable": "/all"})
    other_processes: set[str] = field(default_factory=set[str])
    """Tracks with a second process, which has counted nothing and answers every second reading."""
    share: dict[str, float] = field(default_factory=lambda: {"canary": 1.0, "stable": 1.0})
    """Part of ``per_reading`` that the track gets."""
    selector: dict[str, str] = field(default_factory=lambda: {"app": "addressbook"})
    metrics_port: bool = True
    namespace: str = "shop"
    service: str = "addressbook"
    routes_lead_to: set[str] = field(default_factory=set[str])
    """Services that a gateway's routes lead to."""

    def backends(self) -> set[str]:
        return self.routes_lead_to

    def deployment(self, track: Track) -> Deployment | None:
        if not self.replicas[track]:
            return None
        container = {"name": "addressbook", "image": f"registry/addressbook@{self.images[track]}"}
        spec = {
            "replicas": self.replicas[track],
            "progressDeadlineSeconds": 1,
            "template": {"spec": {"containers": [container]}},
        }
        return Deployment({"spec": spec})

    def current_pods(self, track: Track) -> list[Pod]:
        reason = self.waiting.get(track)
        state = {"waiting": {"reason": reason}} if reason else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        ready = "False" if track in self.unready or reason else "True"
        status = {"name": "addressbook", "restartCount": 0, "state": state}
        probe = {"httpGet": {"path": "/ready", "port": "http"}}
        ports = [{"name": "metrics", "containerPort": 9464}] if self.metrics_port else []
        is_ready = {"type": "Ready", "status": ready, "lastTransitionTime": self.ready_since}
        pod = Pod(
            {
                "metadata": {"name": f"{track}-pod", "uid": track, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "addressbook", "ports": ports, "readinessProbe": probe}]},
                "status": {"conditions": [is_ready], "containerStatuses": [status]},
            }
        )
        return [pod]

    def public_selector(self) -> dict[str, str]:
        return self.selector

    def lost_nodes(self) -> set[str]:
        return set()

    def system_ooms(self) -> list[Any]:
        return []

    def exec(self, pod: Pod, command: Sequence[str]) -> tuple[int, str]:
        track, line = pod.uid, " ".join(command)
        self.ran.append((track, line))
        return (1, "it\ncannot") if f"{track} {line}" in self.broken_commands else (0, "")

    def through_service(
        self, track: Track, method: str, path: str, form: dict[str, str] | None = None, body: Any = None
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
    def forward(self, pod: Pod, port: int) -> Generator[http.client.HTTPConnection]:
        track = pod.uid
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
        answered = round(self.per_reading * self.share[track] * self.readings[track])
        if track in self.other_processes and self.readings[track] % 2:
            answered = 0
        failed = round(answered * self.failing[track])
        route = f'method="GET",route="{self.routes[track]}"'
        lines = [
            "# TYPE http_requests_total counter",
            f'http_requests_total{{{route},status="200"}} {answered - failed}',
            f'http_requests_total{{{route},status="500"}} {failed}',
            f'http_requests_total{{method="GET",route="/ready",status="500"}} {answered}',
            *(
                f'http_request_duration_seconds_bucket{{{route},le="{bound}"}} {answered * share}'
                for bound, share in (("0.001", 0.9), ("0.0025", 1), ("0.005", 1), ("+Inf", 1))
            ),
        ]
        return "\n".join(lines) + "\n"


def _with_track(connection: http.client.HTTPConnection, track: str) -> Any:
    """Say in each request which pod it is for; a real port-forward leads to one pod anyway."""
    put = connection.putheader

    def putheader(header: str | bytes, *values: Any) -> None:
        put(header, *values)
        if header == "Accept-Encoding":
            put("X-Track", track)

    return putheader


@pytest.fixture
def fake() -> Generator[FakeCluster]:
    cluster = FakeCluster()

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


def verdict_of(fake: FakeCluster, commands: Any = COMMANDS, keys: VerdictKeys = ADDRESSBOOK) -> Verdict:
    return judge(cast(Cluster, fake), SECONDS, lambda _: None, EVERY, commands, keys)


def results(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.result for check in verdict.checks}


def test_a_good_canary_passes_every_check(fake: FakeCluster) -> None:
    verdict = verdict_of(fake)
    assert verdict.result == "healthy", verdict_text(verdict)
    assert [*results(verdict)] == [*NAMES, "median latency", "tail latency", "routes"]
    assert verdict.digest == DIGESTS["canary"]
    assert fake.persons == {}  # the test requests delete their person
    errors = next(check for check in verdict.checks if check.name == "errors")
    assert errors.samples == "1000 canary, 1000 stable, 10 intervals"  # without probes and earlier requests


def test_errors_end_the_trial_early(fake: FakeCluster) -> None:
    fake.failing["canary"] = 0.2
    verdict = verdict_of(fake)
    assert verdict.result == "unhealthy"
    assert fake.readings["canary"] < SECONDS / EVERY
    assert verdict.reasons[0].startswith("errors: 20.0 % of the canary's requests are answered with an error")


def test_errors_on_both_tracks_do_not_blame_the_canary(fake: FakeCluster) -> None:
    fake.failing = {"canary": 0.2, "stable": 0.2}
    assert results(verdict_of(fake))["errors"] != "unhealthy"


def test_a_hopeless_canary_needs_no_traffic(fake: FakeCluster) -> None:
    fake.waiting["canary"] = "ImagePullBackOff"
    verdict = verdict_of(fake)
    assert verdict.result == "unhealthy"
    assert verdict.reasons == [
        "readiness: once not ready when looked at; pod canary-pod: ImagePullBackOff: the image cannot be pulled"
    ]
    assert results(verdict)["errors"] == "inconclusive"
    assert fake.readings["canary"] == 0
    assert fake.ran == []


def test_a_canary_not_ready_by_its_deadline_is_unhealthy(fake: FakeCluster) -> None:
    fake.unready.add("canary")
    verdict = verdict_of(fake)
    assert verdict.result == "unhealthy"
    assert "0 of 1 pods became ready in time" in verdict.reasons[0]


def test_a_failing_command_is_unhealthy(fake: FakeCluster) -> None:
    fake.broken_commands.add("canary addressbook ping")
    verdict = verdict_of(fake)
    assert results(verdict)["addressbook ping"] == "unhealthy"
    assert verdict.reasons == ["addressbook ping: exit code 1: cannot"]
    assert results(verdict)["addressbook migrate"] == "healthy"  # every check runs


def test_a_command_failing_on_both_tracks_is_inconclusive(fake: FakeCluster) -> None:
    fake.broken_commands |= {"canary addressbook ping", "stable addressbook ping"}
    verdict = verdict_of(fake)
    assert verdict.result == "inconclusive"
    assert "it fails at stable too" in verdict.reasons[0]


def test_failing_test_requests_are_unhealthy_and_clean_up(fake: FakeCluster) -> None:
    fake.forgets.add("canary")
    verdict = verdict_of(fake)
    assert results(verdict)["test requests"] == "unhealthy"
    assert verdict.reasons == ["test requests: GET /person/1 answers 404 instead of 200: {}"]
    assert fake.persons == {}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"answer": {"firstName": "Other"}}, "GET /person/1 answers .*, where `firstName` is not as expected"),
        ({"save": ["email"]}, "GET /person/1 answers .*, where `email` is not as expected"),
        ({"send": "GET /person/{number}"}, "GET /person/{number} cannot be sent: no answer had `number`"),
        ({"status": 404}, "GET /person/1 answers 200 instead of 404"),
    ],
)
def test_a_wrong_answer_is_named(fake: FakeCluster, changed: dict[str, Any], reason: str) -> None:
    put, get, *others = REQUESTS
    keys = VerdictKeys.model_validate({"testRequests": [put, {**get, **changed}, *others], "warmUpSeconds": 0})
    verdict = verdict_of(fake, (), keys)
    (check,) = (check for check in verdict.checks if check.name == "test requests")
    assert re.search(reason, check.reason)
    assert check.result == "inconclusive"  # stable answers the same
    assert fake.persons == {}


def test_a_service_gets_only_its_own_checks(fake: FakeCluster) -> None:
    verdict = verdict_of(fake, (), VerdictKeys())
    assert verdict.result == "healthy"
    assert [*results(verdict)][:3] == ["readiness", "restarts", "errors"]
    assert fake.ran == []


def test_a_functional_verdict_needs_no_metrics(fake: FakeCluster) -> None:
    fake.metrics_port = False
    verdict = verdict_of(fake, keys=ADDRESSBOOK.model_copy(update={"verdict": "functional"}))
    assert verdict.result == "healthy"
    assert [*results(verdict)] == NAMES[:5]
    assert verdict.notes == ["no user's request was judged: config key verdict is `functional`"]


def test_a_functional_verdict_watches_the_pods(fake: FakeCluster) -> None:
    def crash(seen: Observation) -> None:
        fake.waiting.update({"canary": "CrashLoopBackOff"} if "watching" in seen.line else {})

    keys = VerdictKeys.model_validate({"verdict": "functional", "warmUpSeconds": 0})
    verdict = judge(cast(Cluster, fake), SECONDS, crash, EVERY, keys=keys)
    assert verdict.result == "unhealthy"


@pytest.mark.parametrize(("missed", "judged"), [({4}, True), ({10}, False), ({4, 5}, False)])
def test_a_functional_verdict_needs_to_see_the_pods(
    fake: FakeCluster, monkeypatch: pytest.MonkeyPatch, missed: set[int], judged: bool
) -> None:
    look, looks = Trial._look_at_pods, iter(range(1, 11))

    def partly_blind(trial: Trial) -> None:
        if next(looks) in missed:
            raise UnreachableError("the cluster does not answer")
        look(trial)

    monkeypatch.setattr(Trial, "_look_at_pods", partly_blind)
    keys = VerdictKeys.model_validate({"verdict": "functional", "warmUpSeconds": 0})
    if judged:
        assert verdict_of(fake, keys=keys).result == "healthy"
        return
    with pytest.raises(CommandError, match=f"{len(missed)} of 10 looks could not see its pods") as raised:
        verdict_of(fake, keys=keys)
    assert raised.value.code == INCONCLUSIVE


def test_unreadable_metrics_are_the_reason(fake: FakeCluster) -> None:
    fake.silent.add("canary")
    verdict = verdict_of(fake)
    assert verdict.result == "inconclusive"
    assert verdict.reasons == [
        "errors, refusals, median latency, tail latency, routes: metrics unreachable:"
        f" pod canary-pod, port 9464 does not answer; if the service has none, {WAYS_OUT}"
    ]


def test_too_little_traffic_is_inconclusive(fake: FakeCluster) -> None:
    fake.per_reading = 2
    verdict = verdict_of(fake)
    assert verdict.result == "inconclusive"
    assert "20 at the canary and 20 at stable in 10 intervals; 300 at each" in verdict.reasons[0]


def test_no_canary_is_wrong_use(fake: FakeCluster) -> None:
    fake.replicas["canary"] = 0
    with pytest.raises(CommandError, match="there is no canary to judge") as raised:
        verdict_of(fake)
    assert raised.value.code == WRONG_USE


def test_a_changed_image_ends_the_trial(fake: FakeCluster) -> None:
    def change(_: Observation) -> None:
        fake.images["stable"] = f"sha256:{'b' * 64}"

    with pytest.raises(CommandError, match="stable's image changed during the trial"):
        judge(cast(Cluster, fake), SECONDS, change, EVERY)


def test_an_unreachable_cluster_is_inconclusive(fake: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Track) -> None:
        raise UnreachableError("the cluster does not answer")

    monkeypatch.setattr(fake, "deployment", gone)
    with pytest.raises(CommandError, match="cannot be judged: the cluster does not answer") as raised:
        verdict_of(fake)
    assert raised.value.code == INCONCLUSIVE


def test_the_text_shows_every_part_of_a_check(fake: FakeCluster) -> None:
    fake.failing["canary"] = 0.2
    text = verdict_text(verdict_of(fake))
    row = next(line for line in text.splitlines() if line.startswith("✗  errors"))
    assert "20.0 %, stable 0.0 % (+20.0 points)" in row
    assert "+1.0 points" in row
    assert "share of requests answered 5xx, canary minus stable" in text
    assert f"UNHEALTHY  {DIGESTS['canary']}" in text
    assert max(map(len, text.splitlines()[:-2])) <= 120
    assert "canary  ████████████████████████████████ 20.0 %" in text


def test_the_warm_up_comes_before_the_trial(fake: FakeCluster) -> None:
    fake.ready_since = f"{datetime.now(UTC) - timedelta(seconds=29):%Y-%m-%dT%H:%M:%SZ}"
    seen: list[Observation] = []
    verdict = judge(cast(Cluster, fake), SECONDS, seen.append, EVERY, keys=VerdictKeys())
    assert verdict.result == "healthy", verdict_text(verdict)
    assert "warming up: requests of the first 30 s of a pod do not count" in [each.line for each in seen]
    assert results(verdict)["errors"] == "healthy"  # the whole trial counts


def test_pods_that_are_warm_already_are_not_waited_for(fake: FakeCluster) -> None:
    seen: list[Observation] = []
    judge(cast(Cluster, fake), SECONDS, seen.append, EVERY, keys=VerdictKeys())
    assert not any("warming up" in each.line for each in seen)


def test_observations_show_what_each_look_saw(fake: FakeCluster) -> None:
    seen: list[Observation] = []
    verdict = judge(cast(Cluster, fake), SECONDS, seen.append, EVERY, keys=ADDRESSBOOK)
    watching = [each for each in seen if each.phase == "watching"]
    assert [each.seconds for each in watching] == [EVERY * look for look in range(1, len(watching) + 1)]
    assert [*watching[-1].checks] == [*verdict.checks]
    canary = watching[-1].tracks["canary"]
    assert (canary.wanted, [pod.ready for pod in canary.pods], canary.error_percent) == (1, [True], 0.0)
    widths = [estimate.upper - estimate.lower for estimate in _estimates(watching, "errors")]
    assert widths[-1] < widths[0]
    json.dumps([each.as_json() for each in seen], allow_nan=False)


def _estimates(seen: Sequence[Observation], check: str) -> Iterator[Any]:
    """Yield the check's estimates that have a range: from the third interval on."""
    for each in seen:
        estimate = next(every for every in each.checks if every.name == check).estimate
        if estimate and estimate.upper is not None:
            yield estimate


def test_a_renamed_route_ends_the_trial_at_once(fake: FakeCluster) -> None:
    fake.routes["canary"] = "/everything"
    verdict = verdict_of(fake)
    assert verdict.result == "inconclusive"
    assert fake.readings["canary"] < SECONDS / EVERY
    assert len(verdict.reasons) == 1
    assert "never answers GET /all (100.0 % of stable's requests), but has GET /everything" in verdict.reasons[0]
    assert "`promote --force`" in verdict.reasons[0]


def test_several_processes_on_one_port_end_the_trial(fake: FakeCluster) -> None:
    fake.other_processes.add("stable")
    verdict = verdict_of(fake)
    assert verdict.result == "inconclusive"
    assert fake.readings["canary"] < SECONDS / EVERY
    assert "the counters of pod stable-pod go up and down: several processes" in verdict.reasons[0]


def test_a_service_without_metrics_is_not_watched(fake: FakeCluster) -> None:
    fake.metrics_port = False
    seen: list[Observation] = []
    verdict = judge(cast(Cluster, fake), 60, seen.append, EVERY)
    assert verdict.result == "inconclusive"
    assert verdict.source is None
    for way_out in ("at a gateway (canaryWeight)", "metricsPort, or prometheus", "`verdict: functional`"):
        assert way_out in verdict.reasons[0]


def test_too_small_a_share_of_the_requests_is_noted(fake: FakeCluster) -> None:
    fake.per_reading, fake.share["canary"] = 1000, 0.1
    verdict = verdict_of(fake)
    assert verdict.result == "healthy", verdict_text(verdict)
    assert verdict.notes[0].startswith("the canary got 9.1% of the requests, but has 50.0% of the pods")
    assert verdict.as_json()["notes"] == verdict.notes
    assert f"note: {verdict.notes[0]}" in verdict_text(verdict)


def test_a_dark_canary_gets_no_note_about_its_share(fake: FakeCluster) -> None:
    fake.per_reading, fake.share["canary"], fake.selector = 1000, 0.1, {"app": "addressbook", "track": "stable"}
    assert verdict_of(fake).notes == []


def test_a_canary_with_a_weight_gets_no_note_about_its_pods(fake: FakeCluster) -> None:
    fake.per_reading, fake.share["canary"], fake.routes_lead_to = 1000, 0.1, {"addressbook-canary"}
    verdict = verdict_of(fake, keys=ADDRESSBOOK.model_copy(update={"request_source": "pods"}))
    assert (verdict.result, verdict.source, verdict.notes) == ("healthy", "pods", [])


def test_looks_suit_the_length_of_the_trial() -> None:
    assert [default_interval(seconds) for seconds in (20, 60, 90, 300, 3600)] == [2, 2, 3, 10, 10]
