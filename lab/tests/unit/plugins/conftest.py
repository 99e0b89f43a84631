"""Simulated clouds over an account in a test's own folder, logged in."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins import zones
from lab.plugins.aws.account import KEY_VARIABLES
from lab.plugins.aws.cloud import Aws
from lab.plugins.digitalocean.cloud import DigitalOcean
from lab.plugins.engine import Engine
from lab.plugins.gcp import projects
from lab.plugins.gcp.cloud import GoogleCloud
from lab.plugins.gcp.credentials import VARIABLE, write_credentials
from lab.plugins.simulated import SimulatedCloud
from lab.tests.unit.plugins.simulated_accounts import PROJECT, make

LOGIN = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
KUBECONFIG = {
    "clusters": [{"cluster": {"server": "https://lab", "certificate-authority-data": "Q0E="}}],
    "users": [{"user": LOGIN}],
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of a lab that does not run."""
    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    monkeypatch.setattr(zones, "ANSWER_SECONDS", 0)
    (tmp_path / "kubeconfig").write_text(json.dumps(KUBECONFIG))
    return tmp_path


@pytest.fixture
def aws(state: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, "of-a-test")
    cloud = Aws(Engine())
    cloud.configure({"region": "eu-central-1"})
    return cloud


@pytest.fixture
def digitalocean(state: Path, monkeypatch: pytest.MonkeyPatch) -> DigitalOcean:
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "of-a-test")
    return DigitalOcean(Engine())


@pytest.fixture
def gcp(state: Path, monkeypatch: pytest.MonkeyPatch) -> GoogleCloud:
    """Google Cloud, with all APIs enabled."""
    write_credentials(state / "credentials.json")
    monkeypatch.setenv(VARIABLE, str(state / "credentials.json"))
    monkeypatch.setattr(projects, "USABLE_AFTER", timedelta(seconds=-1))
    cloud = GoogleCloud(Engine())
    cloud.configure({"project": PROJECT})
    for api in {getattr(kind, "api", "iam") for kind in cloud.kinds}:
        make(cloud, "Service", service=f"{api}.googleapis.com")
    return cloud


@pytest.fixture(params=["aws", "digitalocean", "gcp"])
def cloud(request: pytest.FixtureRequest) -> SimulatedCloud:
    """Each simulated cloud in turn."""
    return request.getfixturevalue(request.param)
