"""A kubeconfig for programs that only declare resources."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a kubeconfig with the context `kind-kind`, without a cluster."""
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({"contexts": [{"name": "kind-kind"}]}))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file
