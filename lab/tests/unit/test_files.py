"""Files are written atomically."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.files import write


def test_write_sets_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    assert write(path, "text", mode=0o600)
    assert path.read_text() == "text"
    assert path.stat().st_mode & 0o777 == 0o600


def test_unchanged_content_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "text")
    inode = path.stat().st_ino
    assert not write(path, b"text")
    assert path.stat().st_ino == inode


def test_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, "old")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
