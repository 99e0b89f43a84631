"""Property paths and differences between property trees."""

from __future__ import annotations

from typing import Any

import pytest

from lab.plugins.difference import difference, format_path, parse_path
from lab.plugins.properties import UNKNOWN, Secret


def _paths(old: dict[str, Any], new: dict[str, Any], **options: Any) -> dict[str, str]:
    return {format_path(path): kind for path, kind in difference(old, new, **options).paths.items()}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "containers", 0, "image"), "spec.containers[0].image"),
        (("metadata", "labels", "app.kubernetes.io/name"), 'metadata.labels["app.kubernetes.io/name"]'),
        (('a"b', 1), '["a\\"b"][1]'),
        (("a", "*", "b"), 'a["*"].b'),
    ],
)
def test_paths_have_pulumis_syntax(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text
    assert parse_path(text) == path


def test_star_stays_a_star() -> None:
    assert parse_path("spec.*.a[*]") == ("spec", "*", "a", "*")


def test_each_change_has_its_path_and_kind() -> None:
    old = {"kept": [1], "list": [1, 2, 3], "map": {"a": 1, "b": 2}, "gone": {"x": 1}, "kind": {"x": 1}}
    new = {"kept": [1], "list": [1, 5], "map": {"a": 1, "c": 3}, "kind": [1], "new": 0}
    assert _paths(old, new) == {
        "list[1]": "update",
        "list[2]": "delete",
        "map.b": "delete",
        "map.c": "add",
        "gone": "delete",
        "kind": "update",
        "new": "add",
    }


def test_unknown_is_a_change_and_secrecy_is_not() -> None:
    assert not difference({"a": Secret({"b": 1})}, {"a": {"b": Secret(1)}})
    assert _paths({"a": 1, "b": UNKNOWN}, {"a": UNKNOWN, "b": UNKNOWN}) == {"a": "update"}


def test_true_is_not_one() -> None:
    assert _paths({"a": True, "b": 1, "c": 1}, {"a": 1, "b": 1.0, "c": 1}) == {"a": "update"}


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"spec": {"selector": {"app": "a"}}}, {"spec": {"selector": {"app": "b"}}}, {"spec.selector.app"}),
        ({"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, set()),
        ({}, {"spec": {"selector": {"app": "a"}}}, {"spec"}),
        ({}, {"spec": {"replicas": 1}}, set()),
        ({"spec": {"selector": 1}}, {"spec": {}}, {"spec.selector"}),
        ({"ports": [{"ip": 1}]}, {"ports": [{"ip": 2}]}, {"ports[0].ip"}),
        ({"ports": []}, {"ports": [{"ip": 2}]}, {"ports[0]"}),
        ({"ports": []}, {"ports": [{"name": 2}]}, set()),
    ],
)
def test_change_at_a_replace_path_replaces(old: dict[str, Any], new: dict[str, Any], replaced: set[str]) -> None:
    found = difference(old, new, replace_on=["spec.selector", "ports[*].ip"])
    assert {format_path(path) for path in found.replace} == replaced


def test_ignored_paths_do_not_count() -> None:
    old, new = {"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 2}}
    assert _paths(old, new, ignore=["a.b"]) == {"a.c": "update"}
    assert not difference(old, new, ignore=["a"])
