"""What work in a Google Cloud project needs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_project_credentials_and_plugin_are_named_at_once(
    faults: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(account))
    (account / "gke-gcloud-auth-plugin").unlink()
    (account / "credentials.json").unlink()
    found = faults(kubernetesVersion="", **{"gcp:project": ""})
    assert [fault.split(": ")[0] for fault in found] == [
        "kubernetesVersion",
        "gcp:project",
        "credentials",
        "gke-gcloud-auth-plugin",
    ]
    assert "credentials.json" in found[2]


def test_credentials_are_found_where_googles_libraries_look(
    keys: Callable[..., Any], faults: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(account))
    monkeypatch.setattr("components.gcp.project._on_google_cloud", lambda: False)
    assert "application default credentials" in faults()[0]
    (account / "application_default_credentials.json").write_text("{}")
    assert keys()
    (account / "application_default_credentials.json").unlink()
    monkeypatch.setattr("components.gcp.project._on_google_cloud", lambda: True)
    assert keys()
