"""What work with a DigitalOcean account needs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def test_the_token_has_two_names(faults: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(account))
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN")
    (account / "doctl").unlink()
    assert [fault.split(":")[0] for fault in faults()] == ["credentials", "doctl"]
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "x")
    assert [fault.split(":")[0] for fault in faults()] == ["doctl"]
