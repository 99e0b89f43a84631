"""A stack's process imports no other cloud's SDK, directly or indirectly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from contract.project import PROJECT_ROOT, clouds
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.simulated import SimulatedCloud


def imported(cloud: str) -> list[str]:
    """Return the clouds' SDKs that a stack's process imports."""
    command = [sys.executable, "-m", "tests.unit.components.process", cloud]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("simulated", CLOUDS, ids=lambda cloud: cloud.name)
def test_a_stack_imports_only_its_own_clouds_sdk(simulated: SimulatedCloud):
    assert imported(simulated.name) == [f"pulumi_{simulated.name}"]


def test_a_local_stack_imports_no_clouds_sdk(kubeconfig: Path):
    assert imported("local") == []


def test_the_list_of_clouds_is_complete():
    assert {"local", *(simulated.name for simulated in CLOUDS)} == set(clouds())
