"""Which long tests run: those whose files have changed, the most changed first, as far as the time allows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.soak import __main__ as soak
from tests.soak.__main__ import Part, hashes, parts, plan


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two folders of two files, and an empty cache."""
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(soak.hashes, "__defaults__", (tmp_path,))
    return tmp_path


def part(name: str, minutes: float = 8) -> Part:
    return Part(name, ["no tests"], [name], minutes)


def passed(part: Part, minutes: float = 5) -> None:
    part.record.parent.mkdir(parents=True, exist_ok=True)
    part.record.write_text(json.dumps({"minutes": minutes, "files": hashes(part.paths)}))


def test_parts_that_never_passed_run_in_the_tables_order():
    chosen, lines = plan([part("a"), part("b")], 20)
    assert [each.name for each in chosen] == ["a", "b"]
    assert lines == ["soak: run a, 8 min: never passed here", "soak: run b, 8 min: never passed here"]


def test_unchanged_part_is_skipped():
    passed(part("a"))
    chosen, lines = plan([part("a"), part("b")], 20)
    assert [each.name for each in chosen] == ["b"]
    assert "soak: skip a: unchanged since it last passed" in lines


def test_most_changed_part_runs_first(checkout: Path):
    passed(part("a"))
    passed(part("b"))
    (checkout / "a" / "1").write_text("changed")
    for name in ("1", "2"):
        (checkout / "b" / name).write_text("changed")
    chosen, lines = plan([part("a"), part("b")], 20)
    assert [each.name for each in chosen] == ["b", "a"]
    assert lines[1] == "soak: run a, 5 min: 50% of its files changed"


def test_added_and_removed_files_are_changes(checkout: Path):
    passed(part("a"))
    (checkout / "a" / "2").rename(checkout / "a" / "3")
    assert part("a").changed() == pytest.approx(2 / 3)


def test_part_that_does_not_fit_is_skipped_for_a_shorter_one():
    chosen, lines = plan([part("a", minutes=15), part("b", minutes=4)], 10)
    assert [each.name for each in chosen] == ["b"]
    assert lines[0] == "soak: skip a: takes 15 min, 10 min left"


def test_last_duration_replaces_the_estimate():
    passed(part("a"), minutes=3)
    assert part("a", minutes=8).minutes == 3


def test_parts_name_existing_tests_and_fit_into_20_minutes():
    root = Path(soak.__file__).resolve().parents[2]
    for each in parts():
        assert (root / each.tests[0]).exists(), each.name
        assert [path for path in each.paths if not any(root.glob(path))] == [], each.name
        assert each.estimate <= 20, each.name
