"""The stacks in this folder are on DigitalOcean."""

from __future__ import annotations

import pytest

from tests.unit.components.digitalocean.simulated import DIGITALOCEAN
from tests.unit.components.simulated import SimulatedCloud


@pytest.fixture
def simulated() -> SimulatedCloud:
    return DIGITALOCEAN
