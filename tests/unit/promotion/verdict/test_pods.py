"""The checks of readiness and restarts, and when the canary alone is to blame."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from promotion.state.cluster.pods import Pod
from promotion.verdict.pods import PodWatch, is_hopeless, readiness_check, restarts_check, trouble

CANARY_STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-01-01T11:00:00Z", "2026-01-01T12:05:00Z"


def pod(
    name: str = "a",
    *,
    ready: bool = True,
    restarts: int = 0,
    waiting: tuple[str, str] | None = None,
    ended: dict[str, Any] | None = None,
    unschedulable: str = "",
) -> Pod:
    state = (
        {"waiting": {"reason": waiting[0], "message": waiting[1]}} if waiting else {"running": {"startedAt": BEFORE}}
    )
    container = {
        "name": "addressbook",
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": ended} if ended else {},
    }
    sidecar = {"name": "aardvark", "restartCount": 7, "state": {}, "lastState": {}}
    scheduled = {"type": "PodScheduled", "status": "False" if unschedulable else "True", "message": unschedulable}
    return Pod(
        {
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T12:00:00Z"},
            "spec": {"containers": [{"name": "addressbook"}, {"name": "aardvark"}]},
            "status": {
                "conditions": [scheduled, {"type": "Ready", "status": "True" if ready else "False"}],
                "containerStatuses": [] if unschedulable else [sidecar, container],
            },
        }
    )


def end(code: int, reason: str = "Error", at: str = AFTER) -> dict[str, Any]:
    return {"reason": reason, "exitCode": code, "finishedAt": at}


def watched(*looks: list[Pod], wanted: int = 1, since: datetime | None = None) -> PodWatch:
    watch = PodWatch()
    for n, pods in enumerate(looks):
        watch.look(pods, wanted, since if n == 0 else None)
    return watch


FINE = [pod("s1"), pod("s2")]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"waiting": ("ImagePullBackOff", "Back-off")}, "ImagePullBackOff: the image cannot be pulled"),
        ({"waiting": ("ErrImagePull", "timeout")}, "ErrImagePull: timeout"),
        ({"waiting": ("ContainerCreating", "")}, ""),
        ({"unschedulable": "0/3 nodes are available"}, "Pending: 0/3 nodes are available"),
        ({"ended": end(137, "OOMKilled")}, "it was killed for using more memory than memoryLimit"),
        ({"ended": end(139)}, "it ended with exit code 139 (signal 11)"),
        ({"ended": end(255)}, "it ended with exit code 255"),
        ({}, ""),
    ],
)
def test_trouble_of_a_pod(state: dict[str, Any], text: str) -> None:
    assert trouble(pod(**state)) == text


def test_a_first_failed_pull_is_not_hopeless() -> None:
    assert is_hopeless(pod(waiting=("ImagePullBackOff", "")))
    assert not is_hopeless(pod(waiting=("ErrImagePull", "")))


def test_sidecars_are_ignored() -> None:
    assert pod().restarts == 0


class TestRestarts:
    def test_none_is_healthy(self) -> None:
        assert restarts_check(watched([pod()]), watched(FINE, wanted=2)).result == "healthy"

    def test_canary_alone_is_unhealthy(self) -> None:
        check = restarts_check(watched([pod()], [pod(restarts=1, ended=end(1))]), watched(FINE, FINE, wanted=2))
        assert (check.result, check.value) == ("unhealthy", "1, stable 0")
        assert "exit code 1" in check.reason

    def test_before_the_trial_count_too(self) -> None:
        assert restarts_check(watched([pod(restarts=2)]), watched(FINE, wanted=2)).result == "unhealthy"

    def test_of_both_tracks_have_a_shared_cause(self) -> None:
        stable = watched([pod("s1"), pod("s2")], [pod("s1", restarts=1), pod("s2")], wanted=2)
        check = restarts_check(watched([pod()], [pod(restarts=1)]), stable)
        assert check.result == "inconclusive"
        assert "shared cause" in check.reason

    def test_many_more_than_stable_blame_the_canary(self) -> None:
        stable = watched([pod("s1"), pod("s2")], [pod("s1", restarts=1), pod("s2")], wanted=2)
        assert restarts_check(watched([pod()], [pod(restarts=4)]), stable).result == "unhealthy"

    @pytest.mark.parametrize(("at", "result"), [(BEFORE, "unhealthy"), (AFTER, "inconclusive")])
    def test_of_stable_excuse_only_since_the_canary_started(self, at: str, result: str) -> None:
        stable = watched([pod("s1", restarts=5, ended=end(1, at=at))], since=CANARY_STARTED)
        assert restarts_check(watched([pod(restarts=1)]), stable).result == result

    def test_of_a_replaced_pod_still_count(self) -> None:
        watch = watched([pod("a")], [pod("a", restarts=1)], [pod("b")])
        assert (watch.restarts, watch.pods) == (1, 2)


class TestReadiness:
    LOOKS = 30

    def check(self, canary: PodWatch, stable: PodWatch):
        return readiness_check(canary, stable, self.LOOKS)

    def test_a_short_lapse_is_allowed(self) -> None:
        canary = watched([pod()], *[[pod(ready=False)]] * 3)
        assert self.check(canary, watched(*[FINE] * 4, wanted=2)).result == "healthy"

    def test_a_longer_lapse_is_not(self) -> None:
        canary = watched([pod()], *[[pod(ready=False)]] * 4)
        check = self.check(canary, watched(*[FINE] * 5, wanted=2))
        assert check.result == "unhealthy"
        assert "4 times not ready when looked at; its readiness probe fails" in check.reason

    def test_a_missing_pod_is_not_ready(self) -> None:
        assert watched([], wanted=2).unready == 2

    def test_a_hopeless_pod_is_unhealthy_at_once(self) -> None:
        canary = watched([pod(ready=False, waiting=("CreateContainerConfigError", 'secret "x" not found'))])
        check = self.check(canary, watched(FINE, wanted=2))
        assert check.result == "unhealthy"
        assert "a Secret or ConfigMap that the pod needs is missing" in check.reason

    def test_both_tracks_not_ready_have_a_shared_cause(self) -> None:
        canary = watched(*[[pod(ready=False)]] * 6)
        stable = watched(*[[pod("s1", ready=False), pod("s2", ready=False)]] * 6, wanted=2)
        assert self.check(canary, stable).result == "inconclusive"

    def test_both_tracks_crashing_have_a_shared_cause(self) -> None:
        looping = ("CrashLoopBackOff", "back-off")
        canary = watched([pod(ready=False, restarts=3, waiting=looping)])
        stable = watched([pod("s1", ready=False, restarts=3, waiting=looping)])
        assert self.check(canary, stable).result == "inconclusive"
