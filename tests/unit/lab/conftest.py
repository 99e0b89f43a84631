"""A lab on paper: names, addresses and folders that point into a temporary folder."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from lab.layout import Lab


class PaperLab(Lab):
    """A lab whose folders are in a temporary folder, so that nothing of the machine's is touched."""

    @property
    def state(self) -> Path:
        return self.cache.parent / "state"

    @property
    def run(self) -> Path:
        return self.cache.parent / "run"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return PaperLab("paper-lab", ipaddress.IPv4Network("10.99.0.0/16"), tmp_path / "cache")
