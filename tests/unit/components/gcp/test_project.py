"""Prerequisites of work in a Google Cloud project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pytest

from tests.unit.components.gcp.simulated import CLIENT_CONFIG


def test_missing_prerequisites_are_reported_at_once(
    errors: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(account))
    (account / "gke-gcloud-auth-plugin").unlink()
    (account / "credentials.json").unlink()
    missing = errors(kubernetesVersion="", **{"gcp:project": ""})
    assert [error.split(": ")[0] for error in missing] == [
        "kubernetesVersion",
        "gcp:project",
        "credentials",
        "gke-gcloud-auth-plugin",
    ]
    assert "credentials.json" in missing[2]


def test_credentials_are_found_where_googles_libraries_look(
    keys: Callable[..., Any], errors: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(account))
    monkeypatch.setattr("components.gcp.project._on_google_cloud", lambda: False)
    assert "application default credentials" in errors()[0]
    (account / "application_default_credentials.json").write_text("{}")
    assert keys()
    (account / "application_default_credentials.json").unlink()
    monkeypatch.setattr("components.gcp.project._on_google_cloud", lambda: True)
    assert keys()


class Refusal(grpc.RpcError):
    """A function's failure as the engine reports it."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "invocation of getClientConfig returned an error: 1 error occurred:\n\t* invalid_grant: Bad Request."


def test_refused_credentials_are_reported_once(graph: Callable[..., Any], cloud: Any):
    created: list[str] = []
    cloud.computed["gcp:projects/service:Service"] = lambda args: created.append(args.name) or {}

    def refuse(_: Any) -> Any:
        raise Refusal

    cloud.functions[CLIENT_CONFIG] = refuse
    with pytest.raises(pulumi.RunError, match=r"errors: 1") as raised:
        graph()
    (line,) = str(raised.value).splitlines()[1:]
    assert "credentials: Google rejects those of this machine (1 error occurred: * invalid_grant: Bad Request);" in line
    assert "gcloud auth application-default login" in line
    assert created == []
