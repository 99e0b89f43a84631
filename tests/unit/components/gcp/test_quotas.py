"""The region's quotas are read before a first update creates anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.gcp import quotas
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.gcp.simulated import ACCESS_TOKEN, REGIONS
from tests.unit.components.gcp.test_project import DISABLED, refusing

ASKED = "compute regions describe us-central1 --project acme-prod-1 --format json(quotas)"
NETWORK = "gcp:compute/network:Network"


def quota(metric: str, limit: float, usage: float) -> dict[str, Any]:
    return {"metric": metric, "limit": limit, "usage": usage}


ENOUGH = [quota("CPUS", 24.0, 18.0), quota("SSD_TOTAL_GB", 500.0, 200.0), quota("IN_USE_ADDRESSES", 8.0, 0.0)]


def gcloud(account: Path, script: str) -> None:
    """Let gcloud note its arguments and token, and then run the script."""
    (account / "gcloud").write_text(f'#!/bin/sh\necho "$* $CLOUDSDK_AUTH_ACCESS_TOKEN" >> {account}/asked\n{script}\n')


@pytest.fixture
def events(account: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens in a run: its warnings, and when the network is created."""
    happened: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: happened.append(text))
    cloud.computed[NETWORK] = lambda _: happened.append("network") or {}
    return happened


def test_quotas_that_leave_too_little_are_warned_of_first(graph: Callable[..., Any], account: Path, events: list[str]):
    given = [quota("CPUS", 8.0, 4.0), quota("SSD_TOTAL_GB", 250.0, 0.0), quota("IN_USE_ADDRESSES", 8.0, 6.0)]
    gcloud(account, f"echo '{json.dumps({'quotas': [*given, quota('STATIC_ADDRESSES', 0.0, 0.0)]})}'")
    graph()
    warning, network = events
    assert network == "network"
    assert (
        "region = 'us-central1': quota CPUS leaves 4 of 8, and a new stack needs 6; SSD_TOTAL_GB leaves 250 of 250, and"
        " a new stack needs 300. " in warning
    )
    assert "https://console.cloud.google.com/iam-admin/quotas?project=acme-prod-1" in warning
    assert (account / "asked").read_text() == f"{ASKED} {ACCESS_TOKEN}\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "gcloud ended with exit code 3"),
        ("echo 'ERROR: (gcloud.compute) Required permission.' >&2; exit 1", "(gcloud.compute) Required permission"),
        ("echo '[]'", "gcloud printed no quotas"),
        ("", "gcloud printed no quotas"),
    ],
)
def test_unreadable_quotas_are_a_warning(
    graph: Callable[..., Any], account: Path, events: list[str], script: str, reason: str
):
    gcloud(account, script)
    graph()
    assert events == [
        f"the quotas of region us-central1 are not checked ({reason}); docs/how-to/first-day.md shows how",
        "network",
    ]


def test_without_gcloud_quotas_are_not_checked(
    graph: Callable[..., Any], events: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quotas, "TOOL", "gcloud-that-nobody-has")
    graph()
    assert "are not checked (gcloud is not on PATH)" in events[0]


@pytest.mark.parametrize("existing", [True, False])
def test_quotas_matter_only_to_a_new_stack(
    graph: Callable[..., Any], account: Path, cloud: Any, events: list[str], existing: bool
):
    gcloud(account, f"echo '{json.dumps({'quotas': ENOUGH})}'")
    answer = {"outputs": {"clusterName": "addressbook-test-1a2b3c4"} if existing else {}, "secretOutputNames": []}
    cloud.functions[READ_OUTPUTS] = lambda args: {**answer, "name": args["name"]}
    graph()
    assert (account / "asked").exists() is not existing
    assert events == ["network"]


def test_a_new_projects_quotas_are_read_once_apis_answer(
    graph: Callable[..., Any], account: Path, cloud: Any, events: list[str]
):
    gcloud(account, f"echo '{json.dumps({'quotas': [quota('CPUS', 0.0, 0.0)]})}'")
    enabled: list[bool] = []

    def regions(arguments: Any) -> dict[str, Any]:
        if enabled:
            return {"names": ["us-central1"]}
        enabled.append(True)
        return refusing(DISABLED)(arguments)

    cloud.functions[REGIONS] = regions
    cloud.functions["gcp:projects/getProjectService:getProjectService"] = lambda _: {}
    graph(preview=True)
    assert not (account / "asked").exists()
    enabled.clear()
    graph()
    assert "CPUS leaves 0 of 0" in events[-2]
    assert events[-1] == "network"
