"""The stacks in this folder are on Google Cloud."""

from __future__ import annotations

import pytest

from tests.unit.components.gcp.simulated import GCP
from tests.unit.components.simulated import SimulatedCloud


@pytest.fixture
def simulated() -> SimulatedCloud:
    return GCP
