"""The stacks in this folder are on AWS."""

from __future__ import annotations

import pytest

from tests.unit.components.aws.simulated import AWS
from tests.unit.components.simulated import SimulatedCloud


@pytest.fixture
def simulated() -> SimulatedCloud:
    return AWS
