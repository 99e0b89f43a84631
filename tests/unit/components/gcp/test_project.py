"""What work in a Google Cloud project needs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pytest

from tests.unit.components.gcp.simulated import CLIENT_CONFIG


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


class Refusal(grpc.RpcError):
    """A function's failure, as the engine passes it on."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "invocation of getClientConfig returned an error: 1 error occurred:\n\t* invalid_grant: Bad Request."


def test_whom_google_does_not_know_is_told_once_and_nothing_is_made(graph: Callable[..., Any], cloud: Any):
    made: list[str] = []
    cloud.computed["gcp:projects/service:Service"] = lambda args: made.append(args.name) or {}

    def refuse(_: Any) -> Any:
        raise Refusal

    cloud.functions[CLIENT_CONFIG] = refuse
    with pytest.raises(pulumi.RunError, match=r"errors: 1") as raised:
        graph()
    (line,) = str(raised.value).splitlines()[1:]
    assert "credentials: Google takes none from this machine (1 error occurred: * invalid_grant: Bad Request);" in line
    assert "gcloud auth application-default login" in line
    assert made == []
