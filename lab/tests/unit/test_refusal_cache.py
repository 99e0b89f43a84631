"""Refusals are remembered for a day."""

from __future__ import annotations

import json

from lab import refusal_cache
from lab.layout import Lab


def test_a_refusal_is_kept_with_its_reason(lab: Lab) -> None:
    assert refusal_cache.refused(lab, "hub") is None
    refusal_cache.refuse(lab, "hub", "no such host")
    refusal_cache.refuse(lab, "plugin", "403")
    assert refusal_cache.refused(lab, "hub") == "no such host"
    assert refusal_cache.refusals(lab) == {"hub": "no such host", "plugin": "403"}


def test_a_refusal_expires_after_a_day(lab: Lab) -> None:
    refusal_cache.refuse(lab, "hub", "no such host")
    file = lab.cache / "refusals.json"
    entries = json.loads(file.read_text())
    entries["hub"]["time"] -= refusal_cache.RETRY_SECONDS + 1
    file.write_text(json.dumps(entries))
    assert refusal_cache.refused(lab, "hub") is None
    assert refusal_cache.refusals(lab) == {}


def test_forget_removes_all_refusals(lab: Lab) -> None:
    refusal_cache.refuse(lab, "hub", "no such host")
    refusal_cache.forget(lab)
    assert refusal_cache.refusals(lab) == {}


def test_a_damaged_file_counts_as_empty(lab: Lab) -> None:
    refusal_cache.refuse(lab, "hub", "no such host")
    (lab.cache / "refusals.json").write_text("{")
    assert refusal_cache.refused(lab, "hub") is None
