"""What tests of simulated clouds share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins.aws.account import KEY_VARIABLES
from lab.plugins.aws.cloud import Aws
from tests.unit.plugins.aws_account import configured


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The provider over an account in a folder of the test's own."""
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, "of-a-test")
    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    return configured()
