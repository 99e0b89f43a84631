"""The Python process of a stack imports no other cloud's SDK, wherever in the program an import may stand."""

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
    """Clouds' SDKs in the process of a stack there."""
    command = [sys.executable, "-m", "tests.unit.components.process", cloud]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("simulated", CLOUDS, ids=lambda cloud: cloud.name)
def test_a_stack_imports_its_own_clouds_sdk_and_no_other(simulated: SimulatedCloud):
    assert imported(simulated.name) == [f"pulumi_{simulated.name}"]


def test_a_local_stack_imports_no_clouds_sdk(kubeconfig: Path):
    assert imported("local") == []


def test_these_are_all_the_clouds():
    assert {"local", *(simulated.name for simulated in CLOUDS)} == set(clouds())
