"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.files import write


def test_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    assert write(path, "text", mode=0o600)
    assert path.read_text() == "text"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_content_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "text")
    written = path.stat().st_ino
    assert not write(path, b"text")
    assert path.stat().st_ino == written


def test_a_fault_leaves_the_old_content_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, "old")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
