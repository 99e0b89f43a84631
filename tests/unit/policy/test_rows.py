"""Every row of `rows/`: the policy accepts one resource, or stack, and refuses the other with one message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policy.pack import POLICIES
from tests.unit.policy.conftest import Verdict
from tests.unit.policy.rows import Row, StackRow, clouds, cluster, pods, secrets

ROWS = [*pods.ROWS, *clouds.ROWS, *cluster.ROWS, *secrets.ROWS]
STACK_ROWS = [*clouds.STACK_ROWS, *cluster.STACK_ROWS]
#: Policies whose cases need more than properties: the stack's name, its provider, or the order of resources.
ELSEWHERE = {
    "no-tags-in-production",
    "pinned-in-production",
    "disjoint-selectors",
    "allowed-regions",
    "costs",
    "tags",
}


def _name(row: Row | StackRow) -> str:
    return f"{row.policy}: {row.message}"


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_row(check: Callable[..., Verdict], row: Row):
    assert check(row.policy, row.kind, row.accepted, stack=row.stack, protect=row.protect) == Verdict()
    verdict = check(row.policy, row.kind, row.refused, stack=row.stack, protect=row.protect)
    assert len(verdict.messages) == 1, verdict
    assert row.message in str(verdict)


@pytest.mark.parametrize("row", STACK_ROWS, ids=_name)
def test_row_of_a_stack(check_stack: Callable[..., Verdict], new_run: Callable[[], None], row: StackRow):
    assert check_stack(row.policy, *row.accepted) == Verdict()
    new_run()
    verdict = check_stack(row.policy, *row.refused)
    assert len(verdict.messages) == 1, verdict
    assert row.message in str(verdict)


@pytest.mark.parametrize("row", STACK_ROWS, ids=_name)
def test_what_is_about_to_be_deleted_stops_nothing(check_stack: Callable[..., Verdict], row: StackRow):
    """Otherwise no canary could be rolled back or promoted."""
    assert check_stack(row.policy, *row.accepted, deleted=cluster.CANARY) == Verdict()


def test_every_policy_has_rows():
    tested = {row.policy for row in (*ROWS, *STACK_ROWS)}
    assert {policy.name for policy in POLICIES} - tested == ELSEWHERE
