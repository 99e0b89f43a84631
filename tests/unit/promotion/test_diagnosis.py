"""How the findings of `diagnose` are grouped, ordered, masked and told."""

from __future__ import annotations

from promotion.diagnosis.diagnose import diagnosis_json, diagnosis_text, examine
from tests.unit.promotion.namespace import CRASHED, JUST_NOW, RUNNING, Told, ended, meta, only, pod, snapshot


def test_pods_that_end_or_are_well_are_not_spoken_of():
    gone = pod("gone", state=CRASHED, last=ended(1))
    gone["metadata"]["deletionTimestamp"] = JUST_NOW
    well = pod("well", state=RUNNING, ready=True)
    assert examine(snapshot(pods=[gone, pod("done", phase="Succeeded"), well]), Told()) == []


def test_like_pods_are_one_block_and_one_log():
    told = Told({"shop-canary-1-a": ["boom"]})
    found = only(*(pod(f"shop-canary-1-{n}", state=CRASHED, last=ended(1)) for n in "abc"), told=told)
    assert [len(found.objects), len(told.read)] == [3, 1]
    text = diagnosis_text([found])
    assert text.count("crash-at-start") == 1
    assert "Pod shop-canary-1-b" in text


def test_many_pods_are_counted_not_named():
    found = only(*(pod(f"shop-canary-1-{n}", state=CRASHED, last=ended(1)) for n in "abcdef"))
    assert "and 2 more (canary)" in " ".join(diagnosis_text([found]).split())


def test_of_one_track_alone():
    stable = pod("s", state=CRASHED, last=ended(1), metadata=meta("s", track="stable", owner="shop-stable-1"))
    canary = pod("c", state=CRASHED, last=ended(2))
    (found,) = examine(snapshot(pods=[stable, canary]), Told(), "canary")
    assert found.objects == ("Pod c",)


def test_secrets_are_masked_in_evidence_and_log():
    told = Told({"a": ["cannot log in with hush-hush-1"]}, secrets=("hush-hush-1",))
    found = only(pod("a", state=CRASHED, last=ended(1, message="hush-hush-1 was refused")), told=told)
    assert "hush-hush-1" not in diagnosis_text([found]) + str(diagnosis_json([found]))
    assert "•••" in found.log[0]


def test_errors_in_the_log_of_a_ready_canary_are_a_notice():
    told = Told({"a": ['{"level":"info","message":"serving"}', '{"level":"error","message":"no such table"}']})
    found = only(pod("a", state=RUNNING, ready=True), told=told)
    assert (found.cause, found.notice) == ("errors-in-log", True)
    assert found.log == ('{"level":"error","message":"no such table"}',)


def test_notices_come_last():
    back = pod("a", state=RUNNING, last=ended(1, lived=60), restarts=1, ready=True)
    worse = pod("b", state=CRASHED, last=ended(3), metadata=meta("b", owner="shop-canary-2"))
    assert [each.notice for each in examine(snapshot(pods=[back, worse]), Told())] == [False, True]


def test_nothing_wrong_says_so():
    assert "Nothing wrong" in diagnosis_text([])
    assert examine(snapshot(pods=[pod("a", state=RUNNING, ready=True)]), Told()) == []
