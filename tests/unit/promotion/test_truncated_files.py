"""Which files of a state in a folder are truncated and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from promotion.state import engine_process
from promotion.state.engine_process import delete_truncated_attributes

WHOLE = '{"md5":"vJnqu01MK1ivCbef1PxVIw=="}'


@pytest.fixture
def attributes(tmp_path: Path) -> Path:
    """Return a truncated file of a stack's state."""
    file = tmp_path / "state of ada" / ".pulumi" / "stacks" / "addressbook" / "dev.json.attrs"
    file.parent.mkdir(parents=True)
    file.write_text(WHOLE[:9])
    file.with_name("prod.json.attrs").write_text(WHOLE)
    file.with_name("dev.json").write_text("{")
    return file


@pytest.mark.parametrize("url", ["file://{home}/state%20of%20ada", "file://~/state of ada", "file://./state of ada"])
def test_only_attributes_are_deleted_wherever_the_state_is(
    attributes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert delete_truncated_attributes(url.format(home=tmp_path), tmp_path) == [attributes]
    assert not attributes.exists()
    assert sorted(file.name for file in attributes.parent.iterdir()) == ["dev.json", "prod.json.attrs"]
    assert delete_truncated_attributes(url.format(home=tmp_path), tmp_path) == []


@pytest.mark.parametrize("url", ["s3://bucket/state", "https://api.example", ""])
def test_another_backend_has_no_such_files(attributes: Path, tmp_path: Path, url: str):
    assert delete_truncated_attributes(url, attributes.parents[3]) == []
    assert attributes.exists()


def test_a_file_that_an_engine_is_writing_stays(attributes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_process.time, "sleep", lambda _: attributes.write_text(WHOLE))
    assert delete_truncated_attributes(f"file://{tmp_path}/state of ada", tmp_path) == []
    assert attributes.read_text() == WHOLE
