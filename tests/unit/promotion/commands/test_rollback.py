"""What `rollback` refuses before anything is changed, and what it writes when it does not."""

from __future__ import annotations

import pytest

from promotion.commands.rollback import canary_back, stable_back
from promotion.state.verdict_record import record
from tests.unit.promotion.commands.conftest import refused
from tests.unit.promotion.commands.fake_stack import BOTH, NEW, OLD, TIME, TRIAL, Make


def test_a_promotion_that_was_cut_off_is_undone(make: Make):
    work, stack = make(
        "rollback",
        tracks=BOTH,
        earlier=[TRIAL, {"stableImage": OLD}],
        stableImage=NEW,
        stableReplicas="3",
        canaryVerdict=f"healthy sha256:{'b' * 64} {TIME}",
    )
    assert canary_back(work)
    assert stack.applied[-1]["stableImage"] == OLD
    said = record(stack.applied[-1]["canaryVerdict"])
    assert said is not None
    assert (said.result, said.digest) == ("rejected", f"sha256:{'b' * 64}")


@pytest.mark.parametrize(
    ("verdict", "result"),
    [("", None), ("inconclusive", "inconclusive"), ("unhealthy", "unhealthy"), ("healthy", "rejected")],
)
def test_a_rollback_remembers_a_canary_that_was_judged(make: Make, verdict: str, result: str | None):
    said = {"canaryVerdict": f"{verdict} sha256:{'b' * 64} {TIME}"} if verdict else {}
    work, _ = make("rollback", tracks=BOTH, **TRIAL, stableReplicasAfterTrial="3", **said)
    assert canary_back(work)
    values = work.file.values()
    assert values["stableReplicas"] == "3"
    assert "canaryImage" not in values
    found = record(values.get("canaryVerdict", ""))
    assert (found.result if found else None) == result


def test_a_rollback_without_a_canary(make: Make):
    work, _ = make("rollback", stableImage=OLD)
    refused(lambda: canary_back(work), work, "there is no canary")


def test_stable_back_rejects_what_it_leaves(make: Make):
    work, stack = make(
        "rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}, {"stableImage": OLD}], stableImage=NEW
    )
    assert stable_back(work, "aaaaaa")
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["canaryVerdict"].startswith(f"rejected sha256:{'b' * 64}")


def test_stable_back_to_what_was_rejected(make: Make):
    rejected = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'a' * 64} {TIME}"}
    work, _ = make("rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}, rejected], stableImage=NEW)
    refused(lambda: stable_back(work, "aaaaaa"), work, f"was rejected at {TIME}")
    work.options.force = True
    assert stable_back(work, "aaaaaa")
