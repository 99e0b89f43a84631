"""The lab from an empty cache: every tool is downloaded or built, and the lab serves."""

from __future__ import annotations

from pathlib import Path

from lab.tests.soak.second_lab import second_lab

SECONDS = 1200


def test_lab_starts_from_an_empty_cache(tmp_path: Path):
    lab = second_lab(XDG_CACHE_HOME=str(tmp_path))
    try:
        lab.up(seconds=SECONDS)
        assert lab.status()["serving"] is True
    finally:
        lab.run("down", "--cache")
    assert not (tmp_path / "addressbook-lab" / "tools").exists()
