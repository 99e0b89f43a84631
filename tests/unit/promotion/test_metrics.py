"""Reading pods' metrics, and what was added between two readings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest

from contract.judging import PRESETS, MetricsPreset
from contract.settings import VerdictKeys
from promotion.state.cluster.counters import CounterDeltas, Counters, Reading, difference, quantile
from promotion.state.cluster.metrics import BUILD_INFO, MetricsError, parse

TEXT = """\
# HELP http_requests_total Requests answered.
# TYPE http_requests_total counter
http_requests_total{method="GET",route="/ready",status="200"} 900.0
http_requests_total{method="GET",route="/person/{id}",status="200"} 40.0
http_requests_total{method="GET",route="/person/{id}",status="500"} 2.0
# HELP http_request_duration_seconds Time.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.001",method="GET",route="/person/{id}"} 30.0
http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/person/{id}"} 42.0
http_request_duration_seconds_count{method="GET",route="/person/{id}"} 42.0
http_request_duration_seconds_sum{method="GET",route="/person/{id}"} 0.5
http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/ready"} 900.0
"""
PERSON = ("GET", "/person/{id}")


def counted(ok: float, failed: float = 0) -> Counters:
    return Counters({(PERSON, 200): ok, (PERSON, 500): failed}, {PERSON: {math.inf: ok + failed}})


def test_probes_are_left_out() -> None:
    counters = parse(TEXT, hidden={"/ready"})
    assert counters.requests == {(PERSON, 200): 40, (PERSON, 500): 2}
    assert counters.durations == {PERSON: {0.001: 30, math.inf: 42}}
    assert counters.error_percent == pytest.approx(100 * 2 / 42)


def test_no_request_yet_is_fine() -> None:
    assert parse("# TYPE http_requests_total counter\n").total == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("up 1\n", "no metric `http_requests_total`, or no request has been counted yet"),
        ('http_requests_total{code="200",path="/"} 1\n', "`http_requests_total` has no label 'status'"),
        ('http_requests_total{method="GET",route="/",status="ok"} 1\n', "not in Prometheus' text format"),
        ("http_request_duration_seconds_bucket 1\n", "not in Prometheus' text format"),
        ("<html>not found</html>\n", "not in Prometheus' text format"),
    ],
)
def test_missing_metrics_are_named(text: str, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        parse(text)


#: What each library writes for two requests of GET /person/{id}, one of which failed; and one that does not count.
LIBRARIES: dict[MetricsPreset, str] = {
    "opentelemetry": """\
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",\
http_route="/person/{id}",otel_scope_name="x",url_scheme="http",le="0.005"} 1
http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",\
http_route="/person/{id}",otel_scope_name="x",url_scheme="http",le="+Inf"} 1
http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",\
http_route="/person/{id}",otel_scope_name="x",url_scheme="http"} 1
http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="500",\
http_route="/person/{id}",otel_scope_name="x",url_scheme="http",le="0.005"} 0
http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="500",\
http_route="/person/{id}",otel_scope_name="x",url_scheme="http",le="+Inf"} 1
http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="500",\
http_route="/person/{id}",otel_scope_name="x",url_scheme="http"} 1
""",
    "micrometer": """\
# TYPE http_server_requests_seconds histogram
http_server_requests_seconds_bucket{error="none",method="GET",status="200",uri="/person/{id}",le="0.005"} 1
http_server_requests_seconds_bucket{error="none",method="GET",status="200",uri="/person/{id}",le="+Inf"} 1
http_server_requests_seconds_count{error="none",method="GET",status="200",uri="/person/{id}"} 1
http_server_requests_seconds_bucket{error="x",method="GET",status="500",uri="/person/{id}",le="0.005"} 0
http_server_requests_seconds_bucket{error="x",method="GET",status="500",uri="/person/{id}",le="+Inf"} 1
http_server_requests_seconds_count{error="x",method="GET",status="500",uri="/person/{id}"} 1
http_server_requests_seconds_count{error="none",method="GET",status="200",uri="/ready"} 9
""",
    "express-prom-bundle": """\
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.005",status_code="200",method="GET",path="/person/{id}"} 1
http_request_duration_seconds_bucket{le="+Inf",status_code="200",method="GET",path="/person/{id}"} 1
http_request_duration_seconds_count{status_code="200",method="GET",path="/person/{id}"} 1
http_request_duration_seconds_bucket{le="0.005",status_code="500",method="GET",path="/person/{id}"} 0
http_request_duration_seconds_bucket{le="+Inf",status_code="500",method="GET",path="/person/{id}"} 1
http_request_duration_seconds_count{status_code="500",method="GET",path="/person/{id}"} 1
""",
    "fastapi-instrumentator": """\
# TYPE http_requests_total counter
http_requests_total{handler="/person/{id}",method="GET",status="2xx"} 1.0
http_requests_total{handler="/person/{id}",method="GET",status="5xx"} 1.0
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{handler="/person/{id}",le="0.005",method="GET"} 1.0
http_request_duration_seconds_bucket{handler="/person/{id}",le="+Inf",method="GET"} 2.0
""",
    "promhttp": """\
# TYPE http_requests_total counter
http_requests_total{code="200",handler="/person/{id}",method="GET"} 1
http_requests_total{code="500",handler="/person/{id}",method="GET"} 1
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{code="200",handler="/person/{id}",method="GET",le="0.005"} 1
http_request_duration_seconds_bucket{code="200",handler="/person/{id}",method="GET",le="+Inf"} 1
http_request_duration_seconds_bucket{code="500",handler="/person/{id}",method="GET",le="+Inf"} 1
""",
    "istio": """\
# TYPE istio_requests_total counter
istio_requests_total{reporter="destination",response_code="200",request_protocol="http"} 1
istio_requests_total{reporter="destination",response_code="500",request_protocol="http"} 1
istio_requests_total{reporter="source",response_code="200",request_protocol="http"} 70
# TYPE istio_request_duration_milliseconds histogram
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="200",le="5"} 1
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="200",le="+Inf"} 1
istio_request_duration_milliseconds_bucket{reporter="destination",response_code="500",le="+Inf"} 1
""",
}


@pytest.mark.parametrize("preset", LIBRARIES)
def test_metrics_of_other_libraries_are_read(preset: MetricsPreset) -> None:
    counters = parse(LIBRARIES[preset], {"/ready"}, PRESETS[preset])
    route = ("", "") if preset == "istio" else PERSON
    assert counters.requests == {(route, 200): 1, (route, 500): 1}
    assert counters.durations == {route: {0.005: 1, math.inf: 2}}


#: A request without a usable status, and how each library writes it.
WITHOUT_STATUS: dict[MetricsPreset, str] = {
    "opentelemetry": """\
http_server_request_duration_seconds_bucket{http_request_method="GET",http_route="/person/{id}",le="+Inf"} 7
http_server_request_duration_seconds_count{http_request_method="GET",http_route="/person/{id}"} 7
""",
    "micrometer": """\
http_server_requests_seconds_bucket{method="GET",status="UNKNOWN",uri="/person/{id}",le="+Inf"} 7
http_server_requests_seconds_count{method="GET",status="UNKNOWN",uri="/person/{id}"} 7
""",
}


@pytest.mark.parametrize("preset", WITHOUT_STATUS)
def test_requests_without_a_status_are_left_out(preset: MetricsPreset) -> None:
    counters = parse(LIBRARIES[preset] + WITHOUT_STATUS[preset], {"/ready"}, PRESETS[preset])
    assert counters == parse(LIBRARIES[preset], {"/ready"}, PRESETS[preset])
    with pytest.raises(MetricsError):
        parse(WITHOUT_STATUS[preset], (), PRESETS[preset])


@pytest.mark.parametrize(
    ("route", "probe", "is_hidden"),
    [
        ("/actuator/health/**", "/actuator/health/liveness", True),
        ("/actuator/health/**", "/actuator/health", True),
        ("/actuator/health/**", "/actuator/healthy", False),
        ("/actuator/health", "/actuator/health/liveness", False),
        ("/**", "/actuator/health/liveness", False),
    ],
)
def test_patterns_that_include_a_probe_are_left_out(route: str, probe: str, is_hidden: bool) -> None:
    text = f'http_requests_total{{method="GET",route="{route}",status="200"}} 9\n'
    assert parse(text, {probe}).total == (0 if is_hidden else 9)


def test_every_preset_is_tested() -> None:
    assert {"default", *LIBRARIES} == set(PRESETS) == set(get_args(MetricsPreset))


def test_names_differ_from_the_presets() -> None:
    keys = VerdictKeys.model_validate(
        {"requestMetrics": "promhttp", "requestMetricNames": {"requests": "hits_total"}, "metricsPath": "/stats"}
    )
    assert keys.metrics == replace(PRESETS["promhttp"], requests="hits_total", path="/stats")


def test_difference_of_two_readings() -> None:
    assert difference(counted(40, 2), counted(45, 3)).requests == {(PERSON, 200): 5, (PERSON, 500): 1}


def test_lower_counters_mean_a_reset() -> None:
    assert difference(counted(40, 2), counted(7)).requests == {(PERSON, 200): 7, (PERSON, 500): 0}


def test_a_missing_label_means_a_reset() -> None:
    assert difference(counted(1), Counters({(PERSON, 201): 3})).requests == {(PERSON, 201): 3}


class TestCounterDeltas:
    def test_counts_before_the_trial_are_ignored(self) -> None:
        assert CounterDeltas().add([Reading("a", counted(1000))]).total == 0

    def test_pods_are_added_up(self) -> None:
        deltas = CounterDeltas()
        deltas.add([Reading("a", counted(10)), Reading("b", counted(20))])
        assert deltas.add([Reading("a", counted(13)), Reading("b", counted(24))]).total == 7

    def test_a_later_pod_counts_from_its_start(self) -> None:
        deltas = CounterDeltas()
        deltas.add([Reading("a", counted(10))])
        assert deltas.add([Reading("a", counted(10)), Reading("b", counted(5))]).total == 5

    def test_a_restart_is_a_new_process(self) -> None:
        deltas = CounterDeltas()
        deltas.add([Reading("a/0", counted(10))])
        assert deltas.add([Reading("a/1", counted(12))]).total == 12

    def test_a_deleted_pod_subtracts_nothing(self) -> None:
        deltas = CounterDeltas()
        deltas.add([Reading("a", counted(10)), Reading("b", counted(10))])
        assert deltas.add([Reading("a", counted(11))]).total == 1

    def test_an_unread_pod_catches_up(self) -> None:
        deltas = CounterDeltas()
        deltas.add([Reading("a", counted(10))])
        assert deltas.add([Reading("a", None)]).total == 0
        assert deltas.add([Reading("a", counted(16))]).total == 6

    def test_a_pod_first_read_late_adds_no_history(self) -> None:
        deltas = CounterDeltas()
        deltas.add([Reading("a", None)])
        assert deltas.add([Reading("a", counted(1000))]).total == 0
        assert deltas.add([Reading("a", counted(1002))]).total == 2


def test_quantiles_are_interpolated_within_buckets() -> None:
    buckets = {0.001: 0.0, 0.002: 50.0, 0.004: 100.0, math.inf: 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.002)
    assert quantile(buckets, 0.75) == pytest.approx(0.003)
    assert quantile({math.inf: 0.0}, 0.5) is None


def test_errors_and_latency_of_all_routes() -> None:
    get, put = ("GET", "/all"), ("PUT", "/person")
    counters = Counters(
        {(get, 200): 90.0, (get, 404): 5.0, (put, 503): 5.0},
        {get: {0.001: 95.0, math.inf: 95.0}, put: {0.001: 0.0, 0.1: 5.0, math.inf: 5.0}},
    )
    assert counters.error_percent == 5.0
    assert 0 < (counters.milliseconds(0.5) or 0) < 1
    assert (Counters().error_percent, Counters().milliseconds(0.5)) == (None, None)


def test_the_revision_is_read_from_the_build_metric() -> None:
    text = '# TYPE x_build_info gauge\naddressbook_build_info{revision="abc-dirty",version="src-1"} 1.0\n'
    build = BUILD_INFO.search(text)
    assert build
    assert build["revision"] == "abc-dirty"
    assert not BUILD_INFO.search('python_info{version="3"} 1')
