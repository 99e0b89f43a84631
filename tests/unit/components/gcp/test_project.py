"""Prerequisites of work in a Google Cloud project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pytest

from tests.unit.components.gcp.simulated import CLIENT_CONFIG, PROJECT_OF, REGIONS


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


SERVICE = "gcp:projects/getProjectService:getProjectService"
#: As Google words it.
DISABLED = "googleapi: Error 403: The API has not been used in project acme-prod-1 before or it is disabled."


class Refusal(grpc.RpcError):
    """A function's failure as the engine reports it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return f"invocation of a function returned an error: {self.reason}"


def refusing(reason: str) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise Refusal(reason)

    return refuse


def refused(graph: Callable[..., Any], cloud: Any, **config: str) -> str:
    """Return the only error of a stack that is refused before anything is registered."""
    created: list[str] = []
    cloud.computed["gcp:projects/service:Service"] = lambda args: created.append(args.name) or {}
    with pytest.raises(pulumi.RunError, match=r"errors: 1") as raised:
        graph(**config)
    assert created == []
    (line,) = str(raised.value).splitlines()[1:]
    return line


@pytest.mark.parametrize(("function", "api"), [(PROJECT_OF, "Resource Manager"), (SERVICE, "Service Usage")])
def test_a_prerequisite_api_is_named_with_its_command(graph: Callable[..., Any], cloud: Any, function: str, api: str):
    cloud.functions[REGIONS] = refusing(DISABLED)
    cloud.functions[SERVICE] = lambda _: {}
    cloud.functions[function] = refusing(DISABLED)
    line = refused(graph, cloud)
    assert f"gcp:project = 'acme-prod-1': the API {api} is not enabled" in line
    assert (
        "gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com --project acme-prod-1"
        in line
    )


def test_a_project_without_access_is_named(graph: Callable[..., Any], cloud: Any):
    cloud.functions[PROJECT_OF] = refusing("googleapi: Error 403: The caller does not have permission, forbidden")
    line = refused(graph, cloud)
    assert "gcp:project = 'acme-prod-1': Resource Manager denied access (googleapi: Error 403" in line
    assert "gcloud projects list" in line


@pytest.mark.parametrize("function", [PROJECT_OF, REGIONS])
def test_an_api_that_is_down_stops_no_roll_back(
    graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch, function: str
):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))
    cloud.functions[function] = refusing("googleapi: Error 503: The service is currently unavailable.")
    graph(preview=True)
    (warning,) = warnings
    assert "gcp:project = 'acme-prod-1': could not be checked, because" in warning
    assert "does not answer (googleapi: Error 503" in warning


def test_a_region_that_does_not_exist_is_refused(graph: Callable[..., Any], cloud: Any):
    line = refused(graph, cloud, region="europe-wset3")
    assert line == "  - region = 'europe-wset3': Google Cloud has no such region; did you mean `europe-west3`?"


def test_a_new_project_without_billing_is_warned(
    graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch
):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))
    cloud.functions[SERVICE] = lambda _: {}
    graph(preview=True)
    assert warnings == []
    cloud.functions[REGIONS] = refusing(DISABLED)
    graph(preview=True)
    assert warnings == []
    cloud.functions[PROJECT_OF] = lambda _: {"billingAccount": ""}
    graph(preview=True)
    assert "gcloud billing projects link acme-prod-1" in warnings[0]


def test_refused_credentials_are_reported_once(graph: Callable[..., Any], cloud: Any):
    cloud.functions[CLIENT_CONFIG] = refusing("1 error occurred:\n\t* invalid_grant: Bad Request.")
    line = refused(graph, cloud)
    assert "credentials: Google rejects those of this machine (1 error occurred: * invalid_grant: Bad Request);" in line
    assert "gcloud auth application-default login" in line
