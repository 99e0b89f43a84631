"""What all tests of the commands need."""

from __future__ import annotations

from pathlib import Path

import pytest

from promotion.state import locks


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks for each test: the other test process uses stacks of the same names."""
    folder = tmp_path_factory.mktemp("locks")
    monkeypatch.setattr(locks, "LOCKS", folder)
    return folder
