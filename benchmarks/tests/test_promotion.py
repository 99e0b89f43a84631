"""The benchmark of promotions: what counts as an old pod, which part a second belongs to, what kubectl applies."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from benchmarks import promotion
from benchmarks.old_pods import still_old
from benchmarks.promotion import BARE, THIS, Taken
from benchmarks.releases import applicable, parts_of

LINES = """\
dev: share of new connections: stable 100 % (3 pods)
  ~ Deployment addressbook-stable                      updated  9.5 s
  ~ Service public                                     updated
  - Deployment addressbook-canary                      deleted  6.0 s
  - Job addressbook-migrate-abcdef                     deleted  0.2 s
  3 updated, in 20 s""".splitlines()


def test_old_pods():
    events = [
        "ADDED s1 stable a",
        "ADDED c1 canary b",
        "ADDED s2 stable b",
        "DELETED s1 stable a",
        "MODIFIED c1 canary b",
    ]
    assert reduce(lambda left, event: still_old(left, event, "b"), events, frozenset()) == {"c1"}
    assert still_old(frozenset({"c1"}), "DELETED c1 canary b", "b") == frozenset()


def test_parts_add_up_to_the_total():
    times = dict(enumerate((1.0, 18.0, 18.5, 25.0, 25.5, 26.0)))
    parts = parts_of([(100 + times[number], line) for number, line in enumerate(LINES)], 100, 127)
    assert parts == {"start": 8.5, "rollout": 9.5, "removal": 9.0}
    assert sum(parts.values()) == 27


def test_promotion_without_rollout_is_refused():
    with pytest.raises(ValueError, match="Deployment addressbook-stable"):
        parts_of([(1, line) for line in LINES if "Deployment addressbook-stable" not in line], 0, 2)


def test_server_side_fields_are_not_applied():
    live: dict[str, Any] = {
        "kind": "Deployment",
        "metadata": {
            "name": "addressbook-stable",
            "uid": "1",
            "resourceVersion": "7",
            "managedFields": [],
            "annotations": {"deployment.kubernetes.io/revision": "3", "pulumi.com/timeoutSeconds": "130"},
        },
        "spec": {"replicas": 3},
        "status": {"replicas": 3},
    }
    assert applicable(live) == {
        "kind": "Deployment",
        "metadata": {"name": "addressbook-stable", "annotations": {"pulumi.com/timeoutSeconds": "130"}},
        "spec": {"replicas": 3},
    }


def test_ratio_is_per_round_until_the_last_old_pod():
    busy_in_the_second_round = {
        THIS: [Taken(3, 4, {"rollout": 1}), Taken(30, 40, {"rollout": 10}), Taken(3, 4, {"rollout": 1})],
        BARE: [Taken(2, 1, {"rollout": 1}), Taken(20, 10, {"rollout": 10}), Taken(2, 1, {"rollout": 1})],
    }
    found = promotion.figures(busy_in_the_second_round)
    assert found["ratio"] == {"median": 1.5, "least": 1.5, "most": 1.5}
    assert found[THIS]["gone"] == {"median": 3, "least": 3, "most": 30}
    shown = promotion.table({"rounds": 3, "replicas": {3: found}})
    assert "1.5 (1.5 - 1.5)" in shown
