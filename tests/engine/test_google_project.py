"""A new Google Cloud project under the real engine: only the cloud is simulated, and there is no cluster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Account
from lab.plugins.gcp.cloud import GoogleCloud
from lab.plugins.gcp.credentials import VARIABLE, write_credentials
from lab.tests.conformance.pulumi_project import STAND_IN, PulumiProject
from tests.project import ROOT

pytestmark = pytest.mark.soak
#: What a stack begins with: the APIs, and the network, whose peering Google remembers.
PROGRAM = """
from ipaddress import IPv4Network

from components.gcp.network import Network, NetworkArgs, Ranges
from components.gcp.project import check_project, project_id
from components.gcp.services import ProjectServices

REGION = "{region}"
check_project(REGION)
enabled = ProjectServices("services", project_id(), REGION).enabled
Network("network", NetworkArgs("ours", REGION, Ranges(IPv4Network("10.64.0.0/16")), {{}}, enabled))
"""


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An empty account in a lab of its own that does not run."""
    monkeypatch.setenv("ADDRESSBOOK_LAB_NAME", f"new-project-{os.getpid()}")
    write_credentials(tmp_path / "credentials.json")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "credentials.json"))
    lab = Lab.from_environment()
    lab.state.mkdir(mode=0o700)
    try:
        yield Account(lab, "gcp")
    finally:
        shutil.rmtree(lab.state)


@pytest.fixture
def project(account: Account, tmp_path: Path) -> Iterator[PulumiProject]:
    project = PulumiProject(tmp_path, "gcp", GoogleCloud.version, STAND_IN)
    project.environment["PYTHONPATH"] = str(ROOT)
    project.run("config", "set", "gcp:project", "acme-prod-1")
    project.program(PROGRAM.format(region="europe-west3"))
    try:
        yield project
    finally:
        project.close()


def test_a_new_project_is_brought_up_twice(project: PulumiProject, account: Account):
    project.environment[FAULT_VARIABLE] = "disabled:Service"
    output = project.up(fails=True)
    assert "gcp:project = 'acme-prod-1': the API Resource Manager is not enabled" in output
    assert "gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com" in output
    assert "Traceback" not in output
    assert account.records() == []
    del project.environment[FAULT_VARIABLE]

    project.program(PROGRAM.format(region="europe-wset3"))
    assert "region = 'europe-wset3': Google Cloud has no such region" in project.up(fails=True)
    assert {each.type for each in account.records()} == {"Service"}, "the regions are known once the API is enabled"
    project.program(PROGRAM.format(region="europe-west3"))
    project.up()
    project.run("preview", "--expect-no-changes")
    project.program(PROGRAM.format(region="europe-wset3"))
    assert "Google Cloud has no such region; did you mean `europe-west3`?" in project.run("preview", fails=True)
    project.run("destroy", "--yes", "--skip-preview")
    assert account.records() == []

    project.program(PROGRAM.format(region="europe-west3"))
    project.up()
    assert len(account.records("Connection")) == 1, "although Google remembers the first one"
