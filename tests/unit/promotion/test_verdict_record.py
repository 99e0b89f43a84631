"""Recorded verdicts, and which of them counts."""

from __future__ import annotations

import pytest

from promotion.state.verdict_record import VerdictRecord, trial_fingerprint, verdict_against

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "ab")
TIME, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"


def test_a_record_is_parsed_as_it_is_written():
    text = f"unhealthy {ONE} {TIME}"
    assert VerdictRecord.parse(text) == VerdictRecord("unhealthy", ONE, TIME)
    assert str(VerdictRecord.parse(text)) == text
    written = VerdictRecord.rejection(ONE)
    assert VerdictRecord.parse(str(written)) == written


@pytest.mark.parametrize("text", ["", "healthy", f"healthy {ONE}", f"healthy sha256:12 {TIME}", f" {ONE} {TIME} more "])
def test_other_text_is_no_record(text: str):
    assert VerdictRecord.parse(text) is None


@pytest.mark.parametrize("result", ["unhealthy", "rejected"])
def test_a_verdict_in_the_stack_file_counts(result: str):
    found = verdict_against(ONE, [f"{result} {ONE} {TIME}"])
    assert found is not None
    assert found.sentence.endswith(f"{result} at {TIME}")


def test_a_verdict_in_an_old_update_counts():
    earlier = ["", f"healthy {OTHER} {TIME}", f"rejected {ONE} {TIME}", ""]
    assert verdict_against(ONE, [f"rejected {OTHER} {TIME}", *earlier]) == VerdictRecord("rejected", ONE, TIME)


@pytest.mark.parametrize(
    ("in_file", "earlier"),
    [
        (f"healthy {ONE} {LATER}", f"rejected {ONE} {TIME}"),
        (f"rejected {ONE} {TIME}", f"healthy {ONE} {LATER}"),
        (f"inconclusive {ONE} {TIME}", ""),
        (f"unhealthy {OTHER} {TIME}", f"rejected {OTHER} {TIME}"),
        ("", ""),
    ],
)
def test_no_verdict_against_an_image(in_file: str, earlier: str):
    """The later verdict counts, an inconclusive one does not, and neither does one on another image."""
    assert verdict_against(ONE, [in_file, earlier]) is None


def test_a_later_inconclusive_verdict_does_not_count():
    assert verdict_against(ONE, [f"inconclusive {ONE} {TIME}", f"unhealthy {ONE} {TIME}"]) is not None


@pytest.mark.parametrize("order", [1, -1])
def test_the_record_with_the_latest_time_decides(order: int):
    """An old verdict that `git revert` brings back does not beat the rejection after it."""
    records = [f"healthy {ONE} {TIME}", f"rejected {ONE} {LATER}"][::order]
    assert verdict_against(ONE, records) == VerdictRecord("rejected", ONE, LATER)


def test_the_record_against_counts_at_the_same_second():
    assert verdict_against(ONE, [f"healthy {ONE} {TIME}", f"rejected {ONE} {TIME}"]) is not None


def test_a_record_says_what_the_canary_was_compared_with():
    text = f"healthy {ONE} {TIME} stable={OTHER} settings=0123456789ab"
    record = VerdictRecord("healthy", ONE, TIME, OTHER, "0123456789ab")
    assert (VerdictRecord.parse(text), str(record)) == (record, text)


@pytest.mark.parametrize("rest", [f"stable={OTHER}", "settings=0123456789ab", f"stable={OTHER} settings=xyz"])
def test_an_incomplete_comparison_is_no_record(rest: str):
    assert VerdictRecord.parse(f"healthy {ONE} {TIME} {rest}") is None


def test_a_malformed_time_is_the_earliest():
    assert verdict_against(ONE, [f"rejected {ONE} {TIME}", f"healthy {ONE} yesterday"]) is not None


def test_settings_that_failed_on_trial_do_not_condemn_the_image():
    bad, better = (trial_fingerprint({"canarySettings": {"environment": {"A": value}}}) for value in ("bad", "better"))
    record = VerdictRecord("unhealthy", ONE, TIME, OTHER, "0123456789ab", bad)
    assert VerdictRecord.parse(str(record)) == record
    assert verdict_against(ONE, [str(record)], bad) == record
    assert verdict_against(ONE, [str(record)], better) is None
    assert verdict_against(ONE, [str(record)]) is None


def test_a_rejected_image_stays_rejected_with_any_settings():
    trial = trial_fingerprint({"canarySecretEnvironment": {"TOKEN": {"secure": "v1:abc"}}})
    assert trial
    assert verdict_against(ONE, [f"rejected {ONE} {TIME}"], trial) is not None


@pytest.mark.parametrize("config", [{}, {"canarySettings": {}}, {"environment": {"A": "b"}}])
def test_without_settings_on_trial_there_is_no_fingerprint(config: dict[str, object]):
    assert trial_fingerprint(config) == ""
