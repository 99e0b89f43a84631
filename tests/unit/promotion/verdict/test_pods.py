"""What pods say of themselves, and whether the canary alone is to blame for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubernetes.client import V1Pod

from promotion.verdict.pods import PodState, PodWatch, readiness_check, restarts_check

CAME = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEFORE, LATER = "2026-01-01T11:00:00Z", "2026-01-01T12:05:00Z"


def pod(
    name: str = "a",
    *,
    ready: bool = True,
    restarts: int = 0,
    waiting: tuple[str, str] | None = None,
    ended: dict[str, Any] | None = None,
    unschedulable: str = "",
) -> PodState:
    state = (
        {"waiting": {"reason": waiting[0], "message": waiting[1]}} if waiting else {"running": {"startedAt": BEFORE}}
    )
    container = {
        "name": "addressbook",
        "image": "i",
        "imageID": "i",
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": ended} if ended else {},
    }
    scheduled = {"type": "PodScheduled", "status": "False" if unschedulable else "True", "message": unschedulable}
    found = V1Pod.from_dict(
        {
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T12:00:00Z"},
            "spec": {"containers": [{"name": "addressbook"}]},
            "status": {
                "conditions": [scheduled, {"type": "Ready", "status": "True" if ready else "False"}],
                "containerStatuses": [] if unschedulable else [container],
            },
        }
    )
    assert found is not None
    return PodState.of(found)


def watched(*looks: list[PodState], wanted: int = 1, since: datetime | None = None) -> PodWatch:
    watch = PodWatch()
    for n, pods in enumerate(looks):
        watch.look(pods, wanted, since if n == 0 else None)
    return watch


FINE = [pod("s1"), pod("s2")]


class TestPodState:
    def test_of_an_image_that_cannot_be_pulled(self) -> None:
        state = pod(ready=False, waiting=("ImagePullBackOff", "Back-off pulling image"))
        assert (state.hopeless, state.trouble) == (True, "ImagePullBackOff: its image cannot be pulled")
        assert not state.running

    def test_of_a_first_failed_pull_leaves_hope(self) -> None:
        assert not pod(ready=False, waiting=("ErrImagePull", "timeout")).hopeless

    def test_of_a_pod_that_fits_nowhere(self) -> None:
        state = pod(ready=False, unschedulable="0/3 nodes are available: 3 Insufficient memory.")
        assert state.trouble == "Pending: 0/3 nodes are available: 3 Insufficient memory."

    def test_of_a_pod_that_used_too_much_memory(self) -> None:
        state = pod(restarts=1, ended={"reason": "OOMKilled", "exitCode": 137, "finishedAt": LATER})
        assert state.trouble == "it was ended for using more memory than memoryLimit"

    def test_of_an_end_by_a_signal_and_by_itself(self) -> None:
        assert "by signal 11" in pod(ended={"reason": "Error", "exitCode": 139, "finishedAt": LATER}).trouble
        assert pod(ended={"reason": "Error", "exitCode": 255, "finishedAt": LATER}).trouble == (
            "it ended with exit code 255"
        )

    def test_of_a_sidecar_is_left_out(self) -> None:
        found = V1Pod.from_dict(
            {
                "metadata": {"name": "a", "uid": "a", "creationTimestamp": BEFORE},
                "spec": {"containers": [{"name": "addressbook"}, {"name": "aardvark"}]},
                "status": {
                    "containerStatuses": [
                        {
                            "name": name,
                            "image": "i",
                            "imageID": "i",
                            "ready": True,
                            "restartCount": restarts,
                            "state": {},
                        }
                        for name, restarts in (("aardvark", 7), ("addressbook", 0))
                    ]
                },
            }
        )
        assert found is not None
        assert PodState.of(found).restarts == 0


class TestRestarts:
    def test_none_is_healthy(self) -> None:
        assert restarts_check(watched([pod()]), watched(FINE, wanted=2)).result == "healthy"

    def test_of_the_canary_alone_is_unhealthy(self) -> None:
        ended = {"reason": "Error", "exitCode": 1, "finishedAt": LATER}
        check = restarts_check(watched([pod()], [pod(restarts=1, ended=ended)]), watched(FINE, FINE, wanted=2))
        assert (check.result, check.value) == ("unhealthy", "1, stable 0")
        assert "exit code 1" in check.reason

    def test_before_the_trial_counts_too(self) -> None:
        assert restarts_check(watched([pod(restarts=2)]), watched(FINE, wanted=2)).result == "unhealthy"

    def test_of_stable_too_is_a_common_trouble(self) -> None:
        stable = watched([pod("s1"), pod("s2")], [pod("s1", restarts=1), pod("s2")], wanted=2)
        check = restarts_check(watched([pod()], [pod(restarts=1)]), stable)
        assert check.result == "inconclusive"
        assert "what both use" in check.reason

    def test_that_are_many_times_more_than_stables_are_the_canarys_own(self) -> None:
        stable = watched([pod("s1"), pod("s2")], [pod("s1", restarts=1), pod("s2")], wanted=2)
        assert restarts_check(watched([pod()], [pod(restarts=4)]), stable).result == "unhealthy"

    def test_of_stable_long_ago_excuse_nothing(self) -> None:
        ended = {"reason": "Error", "exitCode": 1, "finishedAt": BEFORE}
        stable = watched([pod("s1", restarts=5, ended=ended)], since=CAME)
        assert restarts_check(watched([pod(restarts=1)]), stable).result == "unhealthy"

    def test_of_stable_since_the_canary_came_do(self) -> None:
        ended = {"reason": "Error", "exitCode": 1, "finishedAt": LATER}
        stable = watched([pod("s1", restarts=5, ended=ended)], since=CAME)
        assert restarts_check(watched([pod(restarts=1)]), stable).result == "inconclusive"

    def test_of_a_pod_that_was_replaced_are_not_lost(self) -> None:
        watch = watched([pod("a")], [pod("a", restarts=1)], [pod("b")])
        assert (watch.restarts, watch.pods) == (1, 2)


class TestReadiness:
    LOOKS = 30

    def check(self, canary: PodWatch, stable: PodWatch):
        return readiness_check(canary, stable, self.LOOKS)

    def test_a_short_lapse_is_allowed(self) -> None:
        canary = watched([pod()], *[[pod(ready=False)]] * 3)
        assert self.check(canary, watched(*[FINE] * 4, wanted=2)).result == "healthy"

    def test_a_longer_one_is_not(self) -> None:
        canary = watched([pod()], *[[pod(ready=False)]] * 4)
        check = self.check(canary, watched(*[FINE] * 5, wanted=2))
        assert check.result == "unhealthy"
        assert "4 times not ready when looked at; its readiness probe fails" in check.reason

    def test_a_pod_that_is_missing_is_not_ready(self) -> None:
        assert watched([], wanted=2).unready == 2

    def test_what_waiting_does_not_mend_is_unhealthy_at_once(self) -> None:
        canary = watched([pod(ready=False, waiting=("CreateContainerConfigError", 'secret "x" not found'))])
        check = self.check(canary, watched(FINE, wanted=2))
        assert check.result == "unhealthy"
        assert "a Secret or ConfigMap that it needs is missing" in check.reason

    def test_stable_that_is_not_ready_either_is_a_common_trouble(self) -> None:
        canary = watched(*[[pod(ready=False)]] * 6)
        stable = watched(*[[pod("s1", ready=False), pod("s2", ready=False)]] * 6, wanted=2)
        assert self.check(canary, stable).result == "inconclusive"

    def test_both_in_a_crash_loop_is_a_common_trouble(self) -> None:
        looping = ("CrashLoopBackOff", "back-off")
        canary = watched([pod(ready=False, restarts=3, waiting=looping)])
        stable = watched([pod("s1", ready=False, restarts=3, waiting=looping)])
        assert self.check(canary, stable).result == "inconclusive"
