"""Verdicts on record, and which of them decides."""

from __future__ import annotations

import pytest

from promotion.state.verdict_record import Record, against, record, rejection

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "ab")
TIME = "2026-01-01T00:00:00Z"


def test_a_record_is_read_as_it_is_written():
    text = f"unhealthy {ONE} {TIME}"
    assert record(text) == Record("unhealthy", ONE, TIME)
    assert str(record(text)) == text
    written = rejection(ONE)
    assert record(str(written)) == written


@pytest.mark.parametrize("text", ["", "healthy", f"healthy {ONE}", f"healthy sha256:12 {TIME}", f" {ONE} {TIME} more "])
def test_other_text_is_no_record(text: str):
    assert record(text) is None


@pytest.mark.parametrize("result", ["unhealthy", "rejected"])
def test_the_stack_file_speaks_against_an_image(result: str):
    found = against(ONE, [f"{result} {ONE} {TIME}"])
    assert found is not None
    assert found.words.endswith(f"{result} at {TIME}")


def test_so_does_an_update_of_long_ago():
    earlier = ["", f"healthy {OTHER} {TIME}", f"rejected {ONE} {TIME}", ""]
    assert against(ONE, [f"rejected {OTHER} {TIME}", *earlier]) == Record("rejected", ONE, TIME)


@pytest.mark.parametrize(
    ("in_file", "earlier"),
    [
        (f"healthy {ONE} {TIME}", f"rejected {ONE} {TIME}"),
        (f"inconclusive {ONE} {TIME}", ""),
        (f"unhealthy {OTHER} {TIME}", f"rejected {OTHER} {TIME}"),
        ("", ""),
    ],
)
def test_nothing_speaks_against_an_image(in_file: str, earlier: str):
    """The later word counts, being unsure is none, and what is said of another image is not said of this one."""
    assert against(ONE, [in_file, earlier]) is None


def test_being_unsure_later_takes_nothing_back():
    assert against(ONE, [f"inconclusive {ONE} {TIME}", f"unhealthy {ONE} {TIME}"]) is not None
