"""A lab whose folders are temporary ones."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from lab.layout import Lab


class TemporaryLab(Lab):
    """Keeps its state in a temporary folder, so that tests leave the machine alone."""

    @property
    def state(self) -> Path:
        return self.cache.parent / "state"

    @property
    def run(self) -> Path:
        return self.cache.parent / "run"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return TemporaryLab("temporary-lab", ipaddress.IPv4Network("10.99.0.0/16"), tmp_path / "cache")
