"""What could not be reached is not asked for again on the same day."""

from __future__ import annotations

import json

from lab import remembered
from lab.layout import Lab


def test_a_refusal_is_remembered_with_its_reason(lab: Lab) -> None:
    assert remembered.refused(lab, "hub") is None
    remembered.refuse(lab, "hub", "no such host")
    remembered.refuse(lab, "plugin", "403")
    assert remembered.refused(lab, "hub") == "no such host"
    assert remembered.refusals(lab) == {"hub": "no such host", "plugin": "403"}


def test_a_refusal_is_forgotten_after_a_day(lab: Lab) -> None:
    remembered.refuse(lab, "hub", "no such host")
    file = lab.cache / "refusals.json"
    entries = json.loads(file.read_text())
    entries["hub"]["time"] -= remembered.RETRY_SECONDS + 1
    file.write_text(json.dumps(entries))
    assert remembered.refused(lab, "hub") is None
    assert remembered.refusals(lab) == {}


def test_forgetting_asks_again_for_everything(lab: Lab) -> None:
    remembered.refuse(lab, "hub", "no such host")
    remembered.forget(lab)
    assert remembered.refusals(lab) == {}


def test_a_damaged_file_counts_as_nothing_remembered(lab: Lab) -> None:
    remembered.refuse(lab, "hub", "no such host")
    (lab.cache / "refusals.json").write_text("{")
    assert remembered.refused(lab, "hub") is None
