"""The Autopilot cluster: its API server and its maintenance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from components.gcp.cluster import maintenance_window
from tests.unit.components.gcp.simulated import google


def test_api_server_access_limits_addresses(graph: Callable[..., Any]):
    def ranges(**config: Any) -> list[dict[str, str]]:
        allowed = google(graph(**config), "Cluster").inputs["masterAuthorizedNetworksConfig"]
        assert allowed["gcpPublicCidrsAccessEnabled"] is False, "anybody's machine at Google would be let in"
        return allowed["cidrBlocks"]

    assert ranges() == [{"cidrBlock": "0.0.0.0/0"}]
    assert ranges(apiServerAccess=["203.0.113.0/24", "198.51.100.7/32"]) == [
        {"cidrBlock": "203.0.113.0/24"},
        {"cidrBlock": "198.51.100.7/32"},
    ]


@pytest.mark.parametrize(("day", "name", "by"), [(1, "Monday", "MO"), (7, "Sunday", "SU")])
def test_the_maintenance_window_is_long_enough_for_gke(day: int, name: str, by: str):
    window = maintenance_window(day, 23)
    opens, closes = (datetime.fromisoformat(str(window[key])) for key in ("start_time", "end_time"))
    assert (f"{opens:%A}", opens.hour) == (name, 23)
    assert window["recurrence"] == f"FREQ=WEEKLY;BYDAY={by}"
    assert 4 * (closes - opens).total_seconds() >= 48 * 3600, "GKE wants 48 hours in any 32 days"
