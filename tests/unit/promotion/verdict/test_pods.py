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
    failed: tuple[str, str] | None = None,
    disrupted: str = "",
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
    target = [{"type": "DisruptionTarget", "status": "True", "reason": disrupted}] if disrupted else []
    phase = {"phase": "Failed", "reason": failed[0], "message": failed[1]} if failed else {"phase": "Running"}
    return Pod(
        {
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T12:00:00Z"},
            "spec": {"containers": [{"name": "addressbook"}, {"name": "aardvark"}], "nodeName": "node-1"},
            "status": {
                **phase,
                "conditions": [scheduled, {"type": "Ready", "status": "True" if ready else "False"}, *target],
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


class TestWhatComesFromOutside:
    """Evictions, nodes and neighbours are not the canary's fault."""

    LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "

    def looked(self, lost: list[Pod], times: int = 6) -> PodWatch:
        """Return the watch of a pod that is ready, then ended for six looks, and then replaced."""
        return watched([pod()], *[lost] * times, [pod("b")])

    @pytest.mark.parametrize(
        "lost",
        [
            pod(ready=False, failed=("Evicted", LOW)),
            pod(ready=False, failed=("Terminated", "Pod was terminated in response to imminent node shutdown.")),
            pod(ready=False, failed=("Preempting", "Preempted in order to admit critical pod")),
            pod(ready=False, disrupted="PreemptionByScheduler"),
            pod(ready=False, disrupted="DeletionByTaintManager"),
        ],
        ids=["eviction", "node shutdown", "critical pod", "preemption", "taint"],
    )
    def test_a_pod_ended_by_its_node_is_not_the_canarys_fault(self, lost: Pod) -> None:
        watch = self.looked([lost])
        assert (watch.unready, watch.excused) == (0, 6)
        check = readiness_check(watch, watched(*[FINE] * 8, wanted=2), planned_looks=30)
        assert check.result == "inconclusive"
        assert "pod a was disrupted" in check.reason

    def test_a_short_disruption_is_a_note(self) -> None:
        watch = self.looked([], times=1)
        assert readiness_check(watch, watched(*[FINE] * 3, wanted=2), planned_looks=30).result == "healthy"
        assert watch.notes == ["pod a was disrupted (it was deleted); this does not count against it"]

    def test_unready_pods_count_again_after_the_replacement(self) -> None:
        watch = self.looked([])
        watch.look([pod("b", ready=False)], 1)
        assert (watch.unready, watch.excused) == (1, 6)

    def test_exceeding_its_own_limit_is_the_canarys_fault(self) -> None:
        over = pod(ready=False, failed=("Evicted", "Pod ephemeral local storage usage exceeds the total limit"))
        assert self.looked([over]).unready == 6

    def test_pods_on_a_lost_node_are_excused(self) -> None:
        watch = PodWatch()
        watch.look([pod()], 1)
        for nodes in ({"node-1"}, {"node-1"}, {"node-2"}):
            watch.look([pod(ready=False)], 1, lost_nodes=nodes)
        assert (watch.unready, watch.excused) == (1, 2)
        assert watch.notes == ["pod a is on node node-1, which is not ready; this does not count against it"]

    def test_a_restart_of_the_node_does_not_count(self) -> None:
        watch = watched([pod()], [pod(restarts=1, ended=end(255, "Unknown"))])
        assert restarts_check(watch, watched(FINE, FINE, wanted=2)).result == "healthy"
        assert "its node or the container runtime was restarted" in watch.notes[0]

    def test_exit_code_255_of_the_program_counts(self) -> None:
        assert watched([pod()], [pod(restarts=1, ended=end(255))]).restarts == 1

    @pytest.mark.parametrize(("node", "counted"), [("node-1", 0), ("node-2", 1)])
    def test_out_of_memory_on_the_node_does_not_count(self, node: str, counted: int) -> None:
        watch = watched([pod()])
        killed = pod(restarts=1, ended=end(137, "OOMKilled"))
        watch.look([killed], 1, node_ooms=[(node, datetime(2026, 1, 1, 12, 5, 4, tzinfo=UTC))])
        assert watch.restarts == counted

    def test_its_own_memory_limit_counts(self) -> None:
        check = restarts_check(
            watched([pod()], [pod(restarts=1, ended=end(137, "OOMKilled"))]), watched(FINE, FINE, wanted=2)
        )
        assert check.result == "unhealthy"
        assert "memoryLimit" in check.reason
