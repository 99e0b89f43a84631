"""The config of a Google Cloud stack: what is accepted, and that all that is missing is said at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from stacks.gcp import PlatformKeys
from stacks.parsing import ConfigFault, parse
from stacks.settings import declared_keys


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with credentials and Google's plugin on PATH. Returns the folder with both."""
    (tmp_path / "gke-gcloud-auth-plugin").write_text("#!/bin/sh\n")
    (tmp_path / "gke-gcloud-auth-plugin").chmod(0o755)
    (tmp_path / "credentials.json").write_text("{}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "credentials.json"))
    return tmp_path


def keys(**changed: str) -> PlatformKeys:
    pulumi.runtime.set_all_config({"gcp:project": changed.pop("project", "acme-prod-1")})
    values = {"cloud": "gcp", "kubernetesVersion": "1.34", **changed}
    return parse(values, PlatformKeys).platform  # pyright: ignore[reportReturnType]


def faults(**changed: str) -> list[str]:
    with pytest.raises(ConfigFault) as raised:
        keys(**changed)
    return str(raised.value).splitlines()


@pytest.fixture(autouse=True)
def project_and_stack() -> Iterator[None]:
    """Names as the engine would give them."""
    mocks.set_mocks(_Nothing(), project="addressbook", stack="test")
    yield
    pulumi.runtime.set_all_config({})


class _Nothing(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise AssertionError(args.typ)


def test_every_key_is_declared():
    assert PlatformKeys.key_names() <= declared_keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("region", "europe-west3-a"),
        ("kubernetesVersion", "latest"),
        ("kubernetesVersion", "1.34.1-do.0"),
        ("networkRange", "10.64.0.0/20"),
        ("networkRange", "8.8.0.0/16"),
        ("networkRange", "172.17.0.0/16"),
        ("networkRange", "127.0.0.0/16"),
        ("networkRange", "10.64.0.1/16"),
        ("databaseVersion", "14"),
        ("databaseSize", "db-n1-standard-1"),
        ("databaseSize", "db-custom-3-7680"),
        ("databaseSize", "db-custom-1-3000"),
        ("databaseSize", "db-custom-1-3900"),
        ("databaseSize", "db-custom-2-20480"),
        ("maintenanceWindow", "sunday 25:00"),
        ("deletionProtection", "maybe"),
        ("nodeCount", "3"),
        ("nodeSize", "e2-small"),
        ("registry", "ours"),
    ],
)
def test_what_google_would_refuse_is_refused_before(key: str, value: str):
    (fault,) = faults(**{key: value})
    assert fault.startswith(f"{key} = '{value}'")


@pytest.mark.parametrize("size", ["db-f1-micro", "db-custom-1-3840", "db-custom-2-13312", "db-custom-96-638976"])
def test_sizes_that_google_has_are_taken(size: str):
    assert keys(databaseSize=size).database_size == size


@pytest.mark.parametrize("cidr", ["office", "203.0.113.1/24", "2001:db8::/32"])
def test_a_range_that_is_none_is_named(cidr: str):
    (fault,) = faults(apiServerAccess=json.dumps(["198.51.100.7/32", cidr]))
    assert fault.startswith(f"apiServerAccess.1 = '{cidr}'")


def test_false_is_a_value_where_the_default_is_true():
    assert (keys().deletion_protection, keys().final_snapshot) == (True, True)
    given = keys(deletionProtection="false", finalSnapshot="false")
    assert (given.deletion_protection, given.final_snapshot) == (False, False)


def test_all_that_is_missing_is_named_at_once(account: Path, monkeypatch: pytest.MonkeyPatch):
    (account / "gke-gcloud-auth-plugin").unlink()
    (account / "credentials.json").unlink()
    found = faults(kubernetesVersion="", project="")
    assert [fault.split(": ")[0] for fault in found] == [
        "kubernetesVersion",
        "gcp:project",
        "credentials",
        "gke-gcloud-auth-plugin",
    ]
    assert "credentials.json" in found[2]


def test_credentials_are_found_where_googles_libraries_look(account: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(account))
    monkeypatch.setattr("components.gcp.project._on_google_cloud", lambda: False)
    assert "application default credentials" in faults()[0]
    (account / "application_default_credentials.json").write_text("{}")
    assert keys()
    (account / "application_default_credentials.json").unlink()
    monkeypatch.setattr("components.gcp.project._on_google_cloud", lambda: True)
    assert keys()


@pytest.mark.parametrize("project", ["Acme Production", "acme", "123456789012", "acme-"])
def test_a_project_is_named_by_its_id(project: str):
    (fault,) = faults(project=project)
    assert fault.startswith(f"gcp:project = '{project}'")


@pytest.mark.parametrize("stack", ["prod_1", "Prod", "a-stack-whose-name-is-long"])
def test_a_name_that_google_would_not_take(stack: str):
    mocks.set_mocks(_Nothing(), project="addressbook", stack=stack)
    (fault,) = faults()
    assert fault.startswith("stack:")
    assert f"addressbook-{stack}" in fault
