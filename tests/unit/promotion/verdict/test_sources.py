"""Which source of requests a verdict reads, and what each of them counts."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.judging import PRESETS
from contract.settings import VerdictKeys
from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.cluster.counters import Counters
from promotion.state.cluster.pods import Pod
from promotion.state.prometheus import Prometheus
from promotion.verdict.samples import Interval
from promotion.verdict.sources import FirstSource, GatewaySource, Pods, PrometheusSource, Source, UnreadError

#: As Traefik 3.6 writes them, shortened.
TRAEFIK = """\
# HELP traefik_service_request_duration_seconds How long it took to process the request on a service.
# TYPE traefik_service_request_duration_seconds histogram
traefik_service_request_duration_seconds_bucket{{code="200",method="GET",protocol="http",service="{service}",le="0.1"}} 9
traefik_service_request_duration_seconds_bucket{{code="200",method="GET",protocol="http",service="{service}",le="+Inf"}} {ok}
traefik_service_request_duration_seconds_sum{{code="200",method="GET",protocol="http",service="{service}"}} 0.019
traefik_service_request_duration_seconds_count{{code="200",method="GET",protocol="http",service="{service}"}} {ok}
# HELP traefik_service_requests_total How many HTTP requests processed on a service.
# TYPE traefik_service_requests_total counter
traefik_service_requests_total{{code="200",method="GET",protocol="http",service="{service}"}} {ok}
traefik_service_requests_total{{code="502",method="GET",protocol="http",service="{service}"}} {failed}
traefik_service_requests_total{{code="101",method="GET",protocol="websocket",service="{service}"}} 50
"""  # noqa: E501 as it is written
CANARY, STABLE = (f"shop-book-{track}-http-80@kubernetesgateway" for track in ("canary", "stable"))
OTHERS = ("shop-book-canary-api-http-80@kubernetesgateway", "other-shop-book-canary-http-80@kubernetesgateway")
#: What selects a Traefik that is not the stack's own.
THE_CLUSTERS = ("app.kubernetes.io/name=traefik", "")
COLD = {"canary-uid/0"}
NO_PODS: Pods = {"canary": [], "stable": []}


def traefik(service: str, ok: int, failed: int = 0) -> str:
    return TRAEFIK.format(service=service, ok=ok, failed=failed)


@dataclass
class GatewayCluster:
    """A cluster whose Traefik pods answer with ``texts``, by name; None: the pod does not answer."""

    texts: dict[str, str | None]
    backend: str = "book-canary"
    restarts: int = 0
    selected: tuple[str, str] = ("app=book-traefik", "shop")
    namespace: str = "shop"
    service: str = "book"

    def backends(self) -> set[str]:
        return {self.backend}

    def pods_labelled(self, selector: str, namespace: str = "") -> list[Pod]:
        if (selector, namespace) != self.selected:
            return []
        status = {
            "name": "traefik",
            "restartCount": self.restarts,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
        return [
            Pod(
                {
                    "metadata": {"name": name, "uid": name, "namespace": "shop"},
                    "spec": {"containers": [{"name": "traefik"}]},
                    "status": {"containerStatuses": [status]},
                }
            )
            for name in self.texts
        ]

    def within(self, namespace: str) -> GatewayCluster:
        assert namespace == "shop"
        return self

    @contextmanager
    def forward(self, pod: Pod, port: int) -> Generator[Any]:
        assert port == 9100
        text = self.texts[pod.name]
        if text is None:
            raise UnreachableError(f"pod {pod.name}, port 9100 does not answer")
        yield Connection(text)


@dataclass
class Connection:
    text: str

    def request(self, method: str, path: str) -> None:
        assert (method, path) == ("GET", "/metrics")

    def getresponse(self) -> io.BytesIO:
        return io.BytesIO(self.text.encode())


def gateway(cluster: GatewayCluster) -> GatewaySource:
    return GatewaySource(cast(Cluster, cluster))


def counts(interval: Interval) -> tuple[dict[int, float], dict[int, float]]:
    """Return each track's requests by status."""
    canary, stable = (
        {status: count for (_, status), count in each.requests.items() if count}
        for each in (interval.canary, interval.stable)
    )
    return canary, stable


class TestGateway:
    def test_requests_are_counted_by_the_tracks_services(self) -> None:
        noise = "".join(traefik(other, 1000) for other in OTHERS)
        cluster = GatewayCluster({"a": traefik(CANARY, 10) + traefik(STABLE, 990, 1) + noise})
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts["a"] = traefik(CANARY, 15, 2) + traefik(STABLE, 1490, 1) + noise
        interval = source.interval(NO_PODS, ())
        assert counts(interval) == ({200: 5, 502: 2}, {200: 500})
        assert interval.canary.durations == {("GET", ""): {0.1: 0, float("inf"): 5}}

    def test_sticky_users_are_counted_by_the_same_services(self) -> None:
        cluster = GatewayCluster({"a": ""}, backend="book-sticky")
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts["a"] = traefik("shop-book-canary-80@kubernetescrd", 3) + traefik(STABLE, 4)
        assert counts(source.interval(NO_PODS, ())) == ({200: 3}, {200: 4})

    def test_a_traefik_of_the_cluster_is_read_too(self) -> None:
        cluster = GatewayCluster({"a": traefik(STABLE, 100), "b": ""}, selected=THE_CLUSTERS)
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts = {"a": traefik(STABLE, 101), "b": traefik(CANARY, 2)}
        assert counts(source.interval(NO_PODS, ())) == ({200: 2}, {200: 1})

    def test_several_pods_are_summed_each_by_itself(self) -> None:
        cluster = GatewayCluster({"a": traefik(STABLE, 100), "b": traefik(STABLE, 7)})
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts = {"a": traefik(STABLE, 110), "b": traefik(STABLE, 8), "new": traefik(STABLE, 5)}
        assert counts(source.interval(NO_PODS, ())) == ({}, {200: 16})

    def test_a_restarted_pod_counts_from_its_start(self) -> None:
        cluster = GatewayCluster({"a": traefik(STABLE, 100)})
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts, cluster.restarts = {"a": traefik(STABLE, 9)}, 1
        assert counts(source.interval(NO_PODS, ())) == ({}, {200: 9})

    def test_requests_to_cold_pods_do_not_count(self) -> None:
        cluster = GatewayCluster({"a": traefik(CANARY, 10) + traefik(STABLE, 10)})
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts["a"] = traefik(CANARY, 20) + traefik(STABLE, 20)
        assert counts(source.interval(NO_PODS, COLD)) == ({}, {})
        cluster.texts["a"] = traefik(CANARY, 21) + traefik(STABLE, 22)
        assert counts(source.interval(NO_PODS, ())) == ({200: 1}, {200: 2})

    def test_a_pod_that_does_not_answer_is_left_out_once(self) -> None:
        cluster = GatewayCluster({"a": traefik(STABLE, 100), "b": traefik(STABLE, 7)})
        source = gateway(cluster)
        source.interval(NO_PODS, ())
        cluster.texts = {"a": traefik(STABLE, 101), "b": None}
        assert counts(source.interval(NO_PODS, ())) == ({}, {200: 1})
        cluster.texts["b"] = traefik(STABLE, 9)
        assert counts(source.interval(NO_PODS, ())) == ({}, {200: 2})

    @pytest.mark.parametrize(
        ("cluster", "message", "absent"),
        [
            (GatewayCluster({}, backend="book-lb"), "no route of a gateway leads to the tracks' own Services", True),
            (GatewayCluster({}), "no pod of Traefik is running", False),
            (
                GatewayCluster({"a": traefik(OTHERS[0], 9)}, selected=THE_CLUSTERS),
                "Traefik's pod a has counted no request of the service",
                False,
            ),
            (GatewayCluster({"a": None}), "pod a, port 9100 does not answer", False),
            (
                GatewayCluster({"a": "<html>"}),
                "Traefik's pod a, /metrics: the answer is not in",
                False,
            ),
        ],
    )
    def test_an_unreadable_gateway_says_why(self, cluster: GatewayCluster, message: str, absent: bool) -> None:
        with pytest.raises(UnreadError, match=message) as raised:
            gateway(cluster).interval(NO_PODS, ())
        assert raised.value.absent is absent


@dataclass
class Series:
    """Answers of a Prometheus: the series of each metric and track, as labels and value."""

    answers: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict[str, Any])
    where: str = "https://prometheus.test"

    def get(self, path: str) -> tuple[int, str]:
        (query,) = parse_qs(urlsplit(path).query)["query"]
        result = [{"metric": labels, "value": [0, str(value)]} for labels, value in self.answers.get(query, [])]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    def set(self, track: str, *pods: tuple[str, int]) -> None:
        """Let each of the track's pods have counted so many requests."""
        selector = f'{{destination_workload="book-{track}"}}'
        labels = {"reporter": "destination", "response_code": "200"}
        rows = [({**labels, "pod": pod, "__name__": "x"}, float(count)) for pod, count in pods]
        sent = ({**labels, "reporter": "source", "pod": "gateway"}, 999.0)
        self.answers[f"istio_requests_total{selector}"] = [*rows, sent]
        buckets = [({**row, "le": bound}, count) for row, count in rows for bound in ("1", "+Inf")]
        self.answers[f"istio_request_duration_milliseconds_bucket{selector}"] = buckets


class TestPrometheus:
    @pytest.fixture
    def series(self) -> Series:
        series = Series()
        series.set("canary", ("c", 10))
        series.set("stable", ("s", 100), ("t", 50))
        return series

    @pytest.fixture
    def source(self, series: Series) -> PrometheusSource:
        selector = 'destination_workload="$service-$track"'
        cluster = cast(Cluster, GatewayCluster({}))
        source = PrometheusSource(Prometheus(series), cluster, PRESETS["istio"], selector)
        source.interval(NO_PODS, ())
        return source

    def test_requests_are_counted_by_series(self, series: Series, source: PrometheusSource) -> None:
        series.set("canary", ("c", 12))
        series.set("stable", ("s", 103), ("t", 4))  # t has restarted
        interval = source.interval(NO_PODS, ())
        assert counts(interval) == ({200: 2}, {200: 7})
        assert interval.stable.durations == {("", ""): {0.001: 7, float("inf"): 7}}  # milliseconds

    def test_an_interval_lasts_until_both_tracks_are_scraped(self, series: Series, source: PrometheusSource) -> None:
        series.set("canary", ("c", 12))
        assert counts(source.interval(NO_PODS, ())) == ({}, {})
        series.set("stable", ("s", 110), ("t", 50))
        assert counts(source.interval(NO_PODS, ())) == ({200: 2}, {200: 10})
        assert counts(source.interval(NO_PODS, ())) == ({}, {})

    def test_requests_to_cold_pods_do_not_count(self, series: Series, source: PrometheusSource) -> None:
        series.set("canary", ("c", 500))
        assert counts(source.interval(NO_PODS, COLD)) == ({}, {})
        series.set("canary", ("c", 501))
        series.set("stable", ("s", 101), ("t", 50))
        assert counts(source.interval(NO_PODS, ())) == ({200: 1}, {200: 1})

    def test_servers_that_answer_in_turn_are_a_fault(self, series: Series, source: PrometheusSource) -> None:
        for count, is_fault in ((90, False), (100, False), (91, True)):
            series.set("stable", ("s", count), ("t", 50))
            source.interval(NO_PODS, ())
            assert ("several servers answer in turn" in source.fault) is is_fault

    def test_a_prometheus_without_the_metrics_says_so(self) -> None:
        source = PrometheusSource(
            Prometheus(Series()), cast(Cluster, GatewayCluster({})), PRESETS["istio"], "a='$track'"
        )
        with pytest.raises(UnreadError, match=r"Prometheus has no series for `istio_requests_total\{a='stable'\}`"):
            source.interval(NO_PODS, ())


@dataclass
class FakeSource:
    """A source that fails as told, else has one request."""

    name: Any
    failure: UnreadError | None = None
    fault: str = ""
    reads: int = 0

    def interval(self, pods: Pods, cold: Collection[str]) -> Interval:
        self.reads += 1
        if self.failure:
            raise self.failure
        return Interval(Counters(), Counters())


def fakes(**failures: UnreadError | None) -> tuple[FirstSource, Mapping[str, FakeSource]]:
    sources = [FakeSource(name, failure) for name, failure in failures.items()]
    return FirstSource(cast(Sequence[Source], sources)), {each.name: each for each in sources}


ABSENT, BROKEN = UnreadError("there is none", absent=True), UnreadError("it is broken")


class TestFirst:
    @pytest.mark.parametrize(
        ("failures", "chosen"),
        [
            ({"gateway": None, "pods": None}, "gateway"),
            ({"gateway": ABSENT, "pods": None}, "pods"),
            ({"gateway": BROKEN, "pods": ABSENT, "prometheus": None}, "prometheus"),
        ],
    )
    def test_the_first_that_can_be_read_is_chosen(self, failures: Any, chosen: str) -> None:
        first, _ = fakes(**failures)
        assert first.interval(NO_PODS, ()) is not None
        assert first.chosen
        assert first.chosen.name == chosen

    def test_the_source_stays_for_the_whole_trial(self) -> None:
        first, sources = fakes(gateway=None, pods=None)
        first.interval(NO_PODS, ())
        sources["gateway"].failure = BROKEN
        assert first.interval(NO_PODS, ()) is None
        assert first.unread == "metrics unreachable: it is broken"
        sources["gateway"].failure = None
        assert first.interval(NO_PODS, ()) is not None
        assert (first.unread, sources["pods"].reads) == ("", 0)

    def test_no_source_at_all_ends_the_trial_with_three_ways_out(self) -> None:
        first, _ = fakes(gateway=ABSENT, pods=ABSENT)
        assert first.interval(NO_PODS, ()) is None
        assert first.fault == first.unread
        for way in ("share the users by weight at a gateway", "name the service's metrics", "`verdict: functional`"):
            assert way in first.fault

    def test_an_unreadable_source_may_come_back(self) -> None:
        first, sources = fakes(gateway=ABSENT, pods=BROKEN)
        assert first.interval(NO_PODS, ()) is None
        assert first.fault == ""
        assert first.unread.startswith("metrics unreachable: it is broken; if the service has none,")
        sources["pods"].failure = None
        assert first.interval(NO_PODS, ()) is not None

    def test_the_config_may_choose_the_source(self) -> None:
        keys = VerdictKeys.model_validate({"requestSource": "gateway"})
        first = FirstSource.of(cast(Cluster, GatewayCluster({}, backend="book-lb")), keys, None)
        assert first.interval(NO_PODS, ()) is None
        assert "requestSource allows no other source" in first.fault
