"""Whole trials by a real Prometheus: requests from its series, and a check by query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from contract.settings import VerdictKeys
from lab import packages
from promotion.state.cluster.cluster import Cluster
from promotion.verdict import Verdict, judge
from promotion.verdict.table import verdict_text
from tests.engine.monitoring.prometheus import Prometheus, running
from tests.unit.promotion.verdict.test_trial import FakeCluster

SECONDS = 14
SELECTOR = 'namespace="$namespace", app="shop", track="$track"'
REQUESTS = 'sum(rate(http_requests_total{{track="$track"{only}}}[4s]))'
FAILING = " / ".join(REQUESTS.format(only=only) for only in (', status=~"5.."', ""))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    packages.ensure_prometheus()
    with running(tmp_path_factory.mktemp("prometheus"), "groups: []") as started:
        started.wait_for(lambda: bool(started.series("rate(http_requests_total[4s])")), 30)
        yield started


def verdict_of(prometheus: Prometheus, query: str = FAILING) -> Verdict:
    """Judge a canary whose pods have no metrics of their own."""
    keys = VerdictKeys.model_validate(
        {
            "prometheus": prometheus.address,
            "requestSelector": SELECTOR,
            "checks": [{"name": "failing", "query": query, "better": "lower", "limit": 0.01, "every": 1}],
            "warmUpSeconds": 0,
        }
    )
    cluster = cast(Cluster, FakeCluster(metrics_port=False))
    return judge(cluster, SECONDS, lambda _: None, every_seconds=1, keys=keys)


def test_prometheus_counts_the_requests(prometheus: Prometheus) -> None:
    verdict = verdict_of(prometheus)
    assert (verdict.result, verdict.source) == ("healthy", "prometheus"), verdict_text(verdict)
    assert "requests counted by Prometheus" in verdict_text(verdict)


def test_a_query_without_an_answer_is_inconclusive(prometheus: Prometheus) -> None:
    verdict = verdict_of(prometheus, 'sum(orders_total{track="$track"}')
    assert verdict.result == "inconclusive"
    assert "Prometheus cannot answer `" in " ".join(verdict.reasons)


def test_a_bad_canary_is_found_by_its_series_or_query(prometheus: Prometheus) -> None:
    prometheus.pods.broken = True
    verdict = verdict_of(prometheus)
    assert verdict.result == "unhealthy", verdict_text(verdict)
    assert {"errors", "failing"} & {check.name for check in verdict.checks if check.result == "unhealthy"}
