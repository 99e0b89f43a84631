"""The rules as they are, in a real Prometheus: alerts fire and clear in real time."""

from __future__ import annotations

from pathlib import Path

from lab import packages
from tests.engine.monitoring.prometheus import running
from tests.engine.test_monitoring import ALERTS, TEXT

#: Alerts that wait for a quarter of an hour or longer; simulated time shows them.
SLOW = {"ErrorBudgetBurnsSlowly", "PodsMissing"}
#: Looks back half an hour.
LASTING = {"ErrorBudgetBurnsFast"}


def test_alerts_fire_and_clear_within_minutes(tmp_path: Path) -> None:
    packages.ensure_prometheus()
    with running(tmp_path, TEXT) as prometheus:
        prometheus.wait_for(lambda: bool(prometheus.series("canary:http_errors:difference5m")), 60)
        prometheus.pods.broken = True
        prometheus.wait_for(lambda: prometheus.firing() == ALERTS - SLOW, 450)
        prometheus.pods.broken = False
        prometheus.wait_for(lambda: prometheus.firing() == LASTING, 450)
