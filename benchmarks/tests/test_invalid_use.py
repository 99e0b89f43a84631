"""What every benchmark says of wrong use, before it makes anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("benchmark", "arguments", "output"),
    [
        ("startup", ["--rounds", "0"], "use 1 or more"),
        ("startup", [], "pulumi is not on PATH"),
        ("promotion", ["--rounds", "0"], "use 1 or more"),
        ("promotion", ["--replicas", "1"], "makes room for the canary"),
        ("promotion", [], "pulumi is not on PATH"),
        ("app", ["--seconds", "0"], "use 1 or more"),
        ("app", [], "wrk is not on PATH"),
        ("delivery", ["--rounds", "0"], "use 1 or more"),
        ("delivery", [], "git is not on PATH"),
    ],
)
def test_invalid_use_is_one_sentence(benchmark: str, arguments: list[str], output: str):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark}", *arguments],
        cwd=ROOT,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert output in done.stderr
    assert "Traceback" not in done.stderr
