"""Prometheus text in, what was added between two readings out."""

from __future__ import annotations

import math

import pytest

from promotion.verdict.metrics import Counters, Ledger, NoMetrics, Reading, added, parse

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


def test_users_requests_are_read_and_probes_left_out() -> None:
    counters = parse(TEXT, left_out={"/ready"})
    assert counters.requests == {(PERSON, 200): 40, (PERSON, 500): 2}
    assert counters.durations == {PERSON: {0.001: 30, math.inf: 42}}
    assert counters.answered([PERSON], range(500, 600)) == 2


def test_a_service_that_has_not_been_asked_yet_has_metrics() -> None:
    assert parse("# TYPE http_requests_total counter\n").total == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("up 1\n", "there is no `http_requests_total`"),
        ('http_requests_total{code="200",path="/"} 1\n', "no label 'method'"),
        ('http_requests_total{method="GET",route="/",status="ok"} 1\n', "not Prometheus' text format"),
        ("<html>not found</html>\n", "not Prometheus' text format"),
    ],
)
def test_what_is_missing_is_said(text: str, said: str) -> None:
    with pytest.raises(NoMetrics, match=said):
        parse(text)


def test_added_is_the_difference() -> None:
    assert added(counted(40, 2), counted(45, 3)).requests == {(PERSON, 200): 5, (PERSON, 500): 1}


def test_counters_that_went_back_began_anew() -> None:
    assert added(counted(40, 2), counted(7)).requests == {(PERSON, 200): 7, (PERSON, 500): 0}


def test_a_label_that_vanished_is_a_reset_too() -> None:
    assert added(counted(1), Counters({(PERSON, 201): 3})).requests == {(PERSON, 201): 3}


class TestLedger:
    def test_what_was_counted_before_the_trial_is_none_of_it(self) -> None:
        assert Ledger().add([Reading("a", counted(1000))]).total == 0

    def test_pods_are_summed(self) -> None:
        ledger = Ledger()
        ledger.add([Reading("a", counted(10)), Reading("b", counted(20))])
        assert ledger.add([Reading("a", counted(13)), Reading("b", counted(24))]).total == 7

    def test_a_pod_that_comes_later_counts_from_its_start(self) -> None:
        ledger = Ledger()
        ledger.add([Reading("a", counted(10))])
        assert ledger.add([Reading("a", counted(10)), Reading("b", counted(5))]).total == 5

    def test_a_restart_is_another_process(self) -> None:
        ledger = Ledger()
        ledger.add([Reading("a/0", counted(10))])
        assert ledger.add([Reading("a/1", counted(12))]).total == 12

    def test_a_pod_that_goes_takes_nothing_back(self) -> None:
        ledger = Ledger()
        ledger.add([Reading("a", counted(10)), Reading("b", counted(10))])
        assert ledger.add([Reading("a", counted(11))]).total == 1

    def test_a_pod_that_could_not_be_read_is_caught_up_with(self) -> None:
        ledger = Ledger()
        ledger.add([Reading("a", counted(10))])
        assert ledger.add([Reading("a", None)]).total == 0
        assert ledger.add([Reading("a", counted(16))]).total == 6

    def test_a_pod_first_read_late_brings_no_history_with_it(self) -> None:
        ledger = Ledger()
        ledger.add([Reading("a", None)])
        assert ledger.add([Reading("a", counted(1000))]).total == 0
        assert ledger.add([Reading("a", counted(1002))]).total == 2
