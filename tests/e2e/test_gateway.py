"""Traefik on the lab's cluster as the stack's own Gateway: shares of users, HTTPS, and releases under load."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.front_door import HEADER, NEW, OLD, FrontDoor, browsing, front_door
from tests.e2e.trial import Trial

REQUESTS = 20_000
BROWSERS = 40


@pytest.fixture(scope="module")
def door(
    trial_stack: Trial, gateway_lab: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontDoor]:
    with front_door(trial_stack, tmp_path_factory.mktemp("authority")) as opened:
        yield opened


def test_one_request_in_a_hundred_meets_the_canary(door: FrontDoor):
    """Traefik's round robin is no game of chance: each of its two pods sends every hundredth request there.

    By chance, this would fail once in 250 runs.
    """
    before = door.requests_by_service()
    seen = door.versions(REQUESTS)
    assert seen.keys() == {NEW, OLD}
    assert 0.008 * REQUESTS <= seen[NEW] <= 0.012 * REQUESTS, seen
    counted = door.requests_by_service() - before
    canary = f"{door.trial.namespace}-addressbook-canary-"
    assert sum(number for name, number in counted.items() if name.startswith(canary)) == seen[NEW], counted


def test_testers_meet_the_canary_at_weight_0(door: FrontDoor):
    door.up(canaryWeight="0")
    assert door.versions(200, HEADER) == {NEW: 200}
    assert door.versions(1000) == {OLD: 1000}
    assert set(door.trial.project.preview_steps()) == set(), "what the API server and Traefik add is no change"


def test_a_release_behind_the_gateway_drops_nothing(door: FrontDoor, until: Callable[..., None]):
    with door.users() as users:
        door.up(canaryWeight="50")
        with browsing(door, BROWSERS) as browsers:
            renewed = door.renew_certificate()
            until(lambda: door.served_certificate() == renewed, "Traefik serves the new certificate")
            kept = [browser.changes for browser in browsers]
            door.up(traffic="canary")
            door.up(stableImage=door.canary, canaryImage=None, canaryReplicas=None, traffic=None, stableReplicas=3)
    assert users.report["failed"] == 0, json.dumps(users.report["failures"])
    assert kept == [0] * BROWSERS, "nobody changes version during a trial"
    assert {browser.seen[0] for browser in browsers} == {NEW, OLD}
    assert {browser.seen[-1] for browser in browsers} == {NEW}
    assert max(browser.changes for browser in browsers) == 1
