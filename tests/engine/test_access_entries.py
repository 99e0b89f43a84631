"""Who administers a cluster, under the real engine. AWS is simulated, and the cluster is a record in its account."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins.account import Account, Record
from lab.plugins.aws.account import KEY_VARIABLES, NUMBER
from lab.plugins.aws.cloud import Aws
from lab.tests.conformance.pulumi_project import STAND_IN, PulumiProject
from tests.project import ROOT

PROGRAM = """
import pulumi
from components.aws.access import access_entries

access_entries("ours", {administrators}, {viewers}, pulumi.ResourceOptions())
"""
REGION = "eu-central-1"
ADA, BEN, CAT = (f"arn:aws:iam::{NUMBER}:role/team/{name}" for name in ("ada", "ben", "cat"))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with a cluster, in a lab of its own that does not run."""
    monkeypatch.setenv("ADDRESSBOOK_LAB_NAME", f"access-{os.getpid()}")
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, "of-the-simulated-account")
    lab = Lab.from_environment()
    lab.state.mkdir(mode=0o700)
    try:
        account = Account(lab, "aws")
        access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
        account.put(Record("Cluster", "ours", {"region": REGION, "accessConfig": access}, {}, ready=True))
        yield account
    finally:
        shutil.rmtree(lab.state)


@pytest.fixture
def project(account: Account, tmp_path: Path) -> Iterator[PulumiProject]:
    project = PulumiProject(tmp_path, "aws", Aws.version, STAND_IN)
    project.environment["PYTHONPATH"] = str(ROOT)
    project.run("config", "set", "aws:region", REGION)
    try:
        yield project
    finally:
        project.close()


def entries(account: Account) -> dict[str, object]:
    """Return when each principal's entry was created."""
    return {each.inputs["principalArn"]: each.outputs["createdAt"] for each in account.records("AccessEntry")}


def policies(account: Account) -> set[tuple[str, str]]:
    """Return who has which access policy."""
    records = account.records("AccessPolicyAssociation")
    return {(each.inputs["principalArn"], each.inputs["policyArn"].rpartition("/")[2]) for each in records}


def test_who_moves_between_the_lists_keeps_the_entry(project: PulumiProject, account: Account):
    project.program(PROGRAM.format(administrators=[ADA, BEN], viewers=[CAT]))
    project.up()
    project.program(PROGRAM.format(administrators=[ADA, CAT], viewers=[BEN]))
    before = entries(account)
    project.up()
    assert entries(account) == before
    admin, viewer = "AmazonEKSClusterAdminPolicy", "AmazonEKSAdminViewPolicy"
    assert policies(account) == {(ADA, admin), (CAT, admin), (BEN, viewer)}
    project.run("preview", "--expect-no-changes")
    project.program(PROGRAM.format(administrators=[ADA], viewers=[]))
    project.up()
    assert entries(account).keys() == {ADA}
