"""`diagnose`: the cause of each case, and how findings are grouped, ordered, masked and shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException

from promotion.diagnosis.diagnose import diagnosis_json, diagnosis_text, examine
from promotion.diagnosis.rules import RULES
from promotion.diagnosis.snapshot import take_snapshot
from promotion.state.cluster.cluster import Cluster, UnreachableError
from tests.unit.promotion.diagnosis_cases import CASES, LOGGING_PODS, Case, claim
from tests.unit.promotion.namespace import (
    CRASHED,
    JUST_NOW,
    RUNNING,
    SERVICE,
    FakeReader,
    ended,
    findings,
    meta,
    only_finding,
    pod,
    waiting,
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_case_has_its_cause(case: Case):
    reader = FakeReader({name: [*case.log] for name in LOGGING_PODS}, case.answer)
    objects = {**case.objects}
    found = findings(*objects.pop("pods", ()), reader=reader, **objects)
    assert [each.cause for each in found] == ([case.cause] if case.cause else [])
    for each in found:
        assert case.words in "\n".join([each.what, *each.evidence])
        assert "{" not in each.remedy
        assert not each.notice


def test_every_cause_has_a_case():
    causes = {rule.cause for rules in RULES.values() for rule in rules if "{" not in rule.cause}
    assert causes - {case.cause for case in CASES} == {"evicted", "errors-in-log"}, "which have tests of their own"


def test_the_image_name_is_not_part_of_the_message():
    odd = "registry.example/denied-403@sha256:" + "a" * 64
    broken = pod(state=waiting("ErrImagePull", f'failed to resolve reference "{odd}": {odd}: not found'))
    broken["status"]["containerStatuses"][0]["image"] = odd
    assert only_finding(broken).cause == "image-not-found"


def test_addresses_of_pods_are_not_in_the_sentence():
    """Otherwise each pod would have a block of its own."""
    probes = [each for case in CASES for each in _sentences(case) if case.cause == "failing-readiness-probe"]
    assert probes
    assert not any("10.0.0.7" in each for each in probes)


def _sentences(case: Case) -> list[str]:
    objects = {**case.objects}
    return [each.what for each in findings(*objects.pop("pods", ()), **objects)]


@pytest.mark.parametrize(("state", "previous"), [(CRASHED, False), (RUNNING, True)])
def test_a_crash_shows_the_log_of_the_container_that_ended(state: object, previous: bool):
    reader = FakeReader({"shop-canary-1-a": ["last line"]})
    finding = only_finding(pod(state=state, last=ended(1, lived=60), restarts=1), reader=reader)
    assert reader.read == [("shop-canary-1-a", previous)]
    assert finding.log == ("last line",)
    assert finding.tracks == ("canary",)


def test_a_container_that_recovered_is_a_notice():
    finding = only_finding(pod(state=RUNNING, last=ended(1, lived=60), restarts=1, ready=True))
    assert finding.notice
    assert "is ready now" in finding.what


def test_a_pod_being_deleted_is_ignored():
    deleted = pod(state=CRASHED, last=ended(1))
    deleted["metadata"]["deletionTimestamp"] = JUST_NOW
    assert findings(deleted) == []


def test_similar_pods_share_one_block_and_one_log():
    reader = FakeReader({"shop-canary-1-a": ["boom"]})
    finding = only_finding(*(pod(f"shop-canary-1-{n}", state=CRASHED, last=ended(1)) for n in "abc"), reader=reader)
    assert [len(finding.objects), len(reader.read)] == [3, 1]
    text = diagnosis_text([finding])
    assert text.count("crash-at-start") == 1
    assert "Pod shop-canary-1-b" in text


def test_more_than_four_pods_are_counted():
    finding = only_finding(*(pod(f"shop-canary-1-{n}", state=CRASHED, last=ended(1)) for n in "abcdef"))
    assert "and 2 more (canary)" in " ".join(diagnosis_text([finding]).split())


def test_a_waitingclaim_includes_its_pods():
    message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    waits = pod("a", scheduled=message, phase="Pending", volumes=volumes)
    assert only_finding(waits, claims=[claim()]).objects == ("PersistentVolumeClaim data", "Pod a")


def test_one_track_only():
    stable = pod("s", state=CRASHED, last=ended(1), metadata=meta("s", track="stable", owner="shop-stable-1"))
    (finding,) = findings(stable, pod("c", state=CRASHED, last=ended(2)), track="canary")
    assert finding.objects == ("Pod c",)


def test_secrets_are_masked_in_evidence_and_log():
    reader = FakeReader({"a": ["cannot log in with hush-hush-1"]}, secrets=("hush-hush-1",))
    finding = only_finding(pod("a", state=CRASHED, last=ended(1, message="hush-hush-1 was refused")), reader=reader)
    assert "hush-hush-1" not in diagnosis_text([finding]) + str(diagnosis_json([finding]))
    assert "•••" in finding.log[0]


def test_errors_in_the_log_of_a_ready_pod_are_a_notice():
    reader = FakeReader({"a": ['{"level":"info","message":"serving"}', '{"level":"error","message":"no such table"}']})
    finding = only_finding(pod("a", state=RUNNING, ready=True), reader=reader)
    assert (finding.cause, finding.notice) == ("errors-in-log", True)
    assert finding.log == ('{"level":"error","message":"no such table"}',)


def test_notices_come_last():
    recovered = pod("a", state=RUNNING, last=ended(1, lived=60), restarts=1, ready=True)
    broken = pod("b", state=CRASHED, last=ended(3), metadata=meta("b", owner="shop-canary-2"))
    assert [each.notice for each in findings(recovered, broken)] == [False, True]


def test_an_evicted_pod_is_a_notice_once_it_is_replaced():
    evicted = pod("a", phase="Failed")
    evicted["status"] |= {"reason": "Evicted", "message": "low on memory"}
    assert (only_finding(evicted).cause, only_finding(evicted).notice) == ("evicted", False)
    assert only_finding(evicted, pod("b", state=RUNNING, ready=True)).notice


def test_nothing_wrong_is_said_in_one_line():
    assert diagnosis_text([]).startswith("Nothing is wrong")


class Refusing(ApiClient):
    """An API server that answers every list with no objects, and refuses those of the kinds in ``refused``."""

    def __init__(self, *refused: str):
        super().__init__(Configuration(host="http://192.0.2.1"))
        self.refused = refused

    def call_api(self, *args: Any, **_: Any) -> Any:
        path = str(args[1])
        if path.endswith(self.refused):
            raise ApiException(status=403, reason=f"no {path}")
        answer = SimpleNamespace(data=b'{"items": []}')
        return SimpleNamespace(status=200, response=answer, read=lambda: answer.data)


def test_an_unlistable_kind_is_a_notice():
    snapshot = take_snapshot(Cluster(Refusing("/events", "/endpointslices"), "shop", SERVICE))
    assert set(snapshot.unread) == {"events", "endpoint_slices"}
    found = examine(snapshot, FakeReader())
    assert [(each.cause, each.notice) for each in found] == [("unread", True)] * 2
    assert found[1].what == "could not list events: no http://192.0.2.1/api/v1/namespaces/shop/events"


def test_an_unread_list_causes_no_finding():
    """A Service is not reported as having no endpoints if they cannot be listed."""
    service = {"metadata": meta("shop-lb"), "spec": {"selector": {"app": SERVICE}, "ports": [{"port": 80}]}}
    unread = {"endpoint_slices": "forbidden"}
    assert [each.cause for each in findings(services=[service])] == ["no-endpoints"]
    assert [each.cause for each in findings(services=[service], unread=unread)] == ["unread"]


def test_an_api_server_that_refuses_everything_is_unreachable():
    with pytest.raises(UnreachableError, match="namespace shop cannot be read"):
        take_snapshot(Cluster(Refusing(""), "shop", SERVICE))
