"""What AWS would refuse after many minutes: the preview says it in one sentence, and nothing is created or lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from lab.layout import Lab
from lab.plugins.account import Record
from lab.plugins.aws.account import CALLER_ROLE, NUMBER
from lab.rehearsal import Rehearsal, alone, prepare

STACK = "addressbook-prod-aws"
REGION = "eu-central-1"
TEAM = f"arn:aws:iam::{NUMBER}:role/team"
#: A database that AWS has upgraded to the newest minor version, and a cluster two versions behind the stack file.
DATABASE = Record(
    "Instance", "db-1", {"identifier": STACK, "region": REGION}, {"engineVersionActual": "15.13"}, ready=True
)
CLUSTER = Record("Cluster", STACK, {"region": REGION, "version": "1.35"}, {"accessConfig": {}}, ready=True)


@pytest.fixture(scope="module")
def rehearsal(lab: dict[str, str]) -> Iterator[Rehearsal]:
    """A copy of the AWS stack over an empty account."""
    own = Lab.from_environment()
    with alone(own, "aws"):
        rehearsal = prepare(own, "prod-aws")
        try:
            rehearsal.clear()
            rehearsal.pulumi("stack", "init")
            yield rehearsal
        finally:
            rehearsal.clear()
            rehearsal.close()


@pytest.mark.parametrize(
    ("existing", "config", "message"),
    [
        ([], {"kubernetesVersion": "1.39"}, "kubernetesVersion = '1.39': EKS offers 1.34, 1.35, 1.36, 1.37; choose"),
        (
            [CLUSTER],
            {},
            "kubernetesVersion = '1.37': the cluster runs 1.35, and EKS upgrades one minor version at a time",
        ),
        (
            [DATABASE],
            {"databaseVersion": "16"},
            "databaseVersion = '16': is 16.8 at RDS by default, and the server runs",
        ),
        (
            [],
            {"clusterAdministrators": [TEAM]},
            f"clusterAdministrators: does not include {CALLER_ROLE}, the identity of this machine",
        ),
    ],
    ids=["version not offered", "version skipped", "older minor version", "caller left out"],
)
def test_aws_refusals_are_previewed_in_one_sentence(
    rehearsal: Rehearsal, existing: list[Record], config: Mapping[str, Any], message: str
):
    file = rehearsal.program / f"Pulumi.{rehearsal.stack}.yaml"
    before = file.read_text()
    document = yaml.safe_load(before)
    document["config"] |= {f"addressbook:{key}": value for key, value in config.items()}
    file.write_text(yaml.safe_dump(document))
    for record in existing:
        rehearsal.account.put(record)
    try:
        done = rehearsal.pulumi("preview", check=False)
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert rehearsal.account.records() == existing, "nothing was created, changed or lost"
    finally:
        file.write_text(before)
        for record in existing:
            rehearsal.account.remove(record.type, record.id)
