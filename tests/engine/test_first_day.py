"""Faults of a first day under the real engine: one sentence each, and nothing is lost. Only the cloud is simulated.

The program and `promotion up` are those of production. Each fault stops them before they need a cluster.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import yaml

from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.aws.account import CALLER_ROLE, NUMBER
from lab.rehearsal import Rehearsal, prepare
from lab.rehearse import IMPORT_COMMAND
from promotion.errors import FAILED, WRONG_USE

STACKS = {"digitalocean": "prod", "gcp": "prod-gcp", "aws": "prod-aws"}
#: Loopback addresses on which nothing listens, so that a lab which may be running is never reached.
UNUSED_NETWORK = "127.77.0.0/16"
AWS_NAME, REGION = "addressbook-prod-aws", "eu-central-1"
TEAM = f"arn:aws:iam::{NUMBER}:role/team"
#: A database that AWS has upgraded to the newest minor version, and a cluster two versions behind the stack file.
DATABASE = Record(
    "Instance", "db-1", {"identifier": AWS_NAME, "region": REGION}, {"engineVersionActual": "15.13"}, ready=True
)
CLUSTER = Record("Cluster", AWS_NAME, {"region": REGION, "version": "1.35"}, {"accessConfig": {}}, ready=True)


@dataclass(frozen=True)
class Case:
    """Faults that are switched on for one `promotion up`, and what the user reads."""

    cloud: str
    faults: str
    messages: Sequence[str]
    code: int = WRONG_USE
    existing: Sequence[Record] = ()
    """Resources that the account has beside the stack's."""
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return f"{self.cloud}-{self.faults or '+'.join(self.config) or 'older cluster'}"


#: Refused before anything is registered.
REFUSED = [
    Case("digitalocean", "expired", ["credentials: DigitalOcean refuses the API token"]),
    Case(
        "digitalocean",
        "quota:Droplet,retired:KubernetesCluster",
        [
            "nodeCount: the stack needs 4 Droplets, and the account has 0 of at most 3; ask for a higher limit",
            "kubernetesVersion = '1.34.1-do.0': DigitalOcean does not offer it for new clusters; set one of",
        ],
    ),
    Case("gcp", "expired", ["credentials: Google rejects those of this machine"]),
    Case(
        "gcp",
        "disabled:Service",
        ["`gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com --project"],
    ),
    Case("aws", "expired", ["credentials: AWS rejects those of this machine (An error occurred (ExpiredToken)"]),
    Case(
        "aws",
        "",
        [
            "kubernetesVersion = '1.39': EKS offers 1.34, 1.35, 1.36, 1.37; choose",
            "databaseVersion = '16': is 16.8 at RDS by default, and the server runs",
        ],
        existing=[DATABASE],
        config={"kubernetesVersion": "1.39", "databaseVersion": "16"},
    ),
    Case(
        "aws",
        "",
        ["kubernetesVersion = '1.37': the cluster runs 1.35, and EKS upgrades one minor version at a time"],
        existing=[CLUSTER],
    ),
    Case(
        "aws",
        "",
        [f"clusterAdministrators: does not include {CALLER_ROLE}, the identity of this machine"],
        config={"clusterAdministrators": [TEAM]},
    ),
]
#: Refused by the cloud once others are created. Each case continues the stack of the one before it.
STOPPED = [
    Case("digitalocean", "name-taken:ContainerRegistry", ["409 the name is taken: it belongs to another"], FAILED),
    Case("digitalocean", "quota:Vpc", ["403 the account's limit is reached; delete a VPC, or ask"], FAILED),
    Case("digitalocean", "timeout:Vpc", ["timeout while waiting for it to be ready"], FAILED),
    Case("gcp", "quota:Network", ["403 the account's limit is reached; delete a network, or ask"], FAILED),
    Case("gcp", "timeout:Network", ["timeout while waiting for it to be ready"], FAILED),
    Case("gcp", "name-taken:Subnetwork", ["409 the name is taken: it belongs to another"], FAILED),
    Case("aws", "name-taken:Repository,quota:Vpc", ["409 the name is taken", "403 the account's limit"], FAILED),
    Case("aws", "timeout:Vpc,quota:Key", ["timeout while waiting for it to be ready"], FAILED),
    Case("aws", "quota:Eip", ["403 the account's limit is reached"], FAILED),
]


@pytest.fixture(scope="module")
def prepared(toolchain: dict[str, str]) -> Iterator[Callable[[str], Rehearsal]]:
    """Return a function that returns a cloud's rehearsal, empty at first, in a lab of its own that does not run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADDRESSBOOK_LAB_NAME", f"first-day-{os.getpid()}")
        patch.setenv("ADDRESSBOOK_LAB_NETWORK", UNUSED_NETWORK)
        own = Lab.from_environment()
        own.state.mkdir(mode=0o700)

        @cache
        def rehearsal_on(cloud: str) -> Rehearsal:
            rehearsal = prepare(own, STACKS[cloud])
            rehearsal.pulumi("stack", "init")
            return rehearsal

        try:
            yield rehearsal_on
        finally:
            shutil.rmtree(own.state)
            (own.cache / "regctl" / f"{own.name}.json").unlink(missing_ok=True)


@pytest.fixture
def rehearsal(prepared: Callable[[str], Rehearsal], case: Case) -> Rehearsal:
    return prepared(case.cloud)


def ids(rehearsal: Rehearsal) -> set[str]:
    return {each.id for each in rehearsal.account.records()}


def known_ids(rehearsal: Rehearsal) -> set[str]:
    state = rehearsal.state()
    assert not state.get("pending_operations")
    return {each["id"] for each in state.get("resources", []) if "id" in each}


def up_with(rehearsal: Rehearsal, case: Case) -> str:
    """Run `promotion up` with the case's faults; check what the user reads, and return it."""
    file = rehearsal.program / f"Pulumi.{rehearsal.stack}.yaml"
    before = file.read_text()
    document = yaml.safe_load(before)
    document["config"] |= {f"addressbook:{key}": value for key, value in case.config.items()}
    file.write_text(yaml.safe_dump(document))
    for record in case.existing:
        rehearsal.account.put(record)
    try:
        command = [sys.executable, "-m", "promotion", "up", "--stack", rehearsal.stack, "--yes"]
        done = rehearsal.run(*command, extra={FAULT_VARIABLE: case.faults})
    finally:
        file.write_text(before)
        for record in case.existing:
            rehearsal.account.remove(record.type, record.id)
    assert done.returncode == case.code, done.stdout + done.stderr
    for message in case.messages:
        assert done.stderr.count(message) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_refusal_is_one_sentence_and_changes_nothing(rehearsal: Rehearsal, case: Case):
    up_with(rehearsal, case)
    assert ids(rehearsal) == set()
    assert known_ids(rehearsal) == set()


@pytest.mark.soak
@pytest.mark.parametrize("case", STOPPED, ids=str)
def test_a_stopped_update_says_why_and_loses_nothing(rehearsal: Rehearsal, case: Case):
    before = ids(rehearsal)
    output = up_with(rehearsal, case)
    after = ids(rehearsal)
    assert before <= after
    # A resource whose creation timed out may be in the account alone; the message says how to import it.
    unknown = {(match["type"], match["id"]) for match in IMPORT_COMMAND.finditer(output)}
    assert after - known_ids(rehearsal) == {id for _, id in unknown}
    if unknown:
        rehearsal.take_over(*unknown)
        assert after <= known_ids(rehearsal)
