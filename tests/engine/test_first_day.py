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

from contract.update import LEAVE_PLATFORM
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
CLUSTER = Record(
    "Cluster",
    AWS_NAME,
    {"region": REGION, "version": "1.35"},
    {
        "arn": f"arn:aws:eks:{REGION}:{NUMBER}:cluster/{AWS_NAME}",
        "endpoint": "https://127.0.0.1:9",
        "status": "ACTIVE",
        "identities": [],
        **{name: {} for name in ("accessConfig", "certificateAuthority", "vpcConfig")},
    },
    ready=True,
)


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
    Case(
        "gcp",
        "quota:Network,quota:Region",
        [
            "SSD_TOTAL_GB leaves 250 of 250, and a new stack needs 300. Pods that get no node stay Pending",
            "403 the account's limit is reached; delete a network, or ask",
        ],
        FAILED,
    ),
    Case("gcp", "timeout:Network", ["timeout while waiting for it to be ready"], FAILED),
    Case("gcp", "name-taken:Subnetwork", ["409 the name is taken: it belongs to another"], FAILED),
    Case("aws", "name-taken:Repository,quota:Vpc", ["409 the name is taken", "403 the account's limit"], FAILED),
    Case("aws", "timeout:Vpc,quota:Key", ["timeout while waiting for it to be ready"], FAILED),
    Case("aws", "quota:Eip", ["403 the account's limit is reached"], FAILED),
]


@pytest.fixture(scope="module")
def own_lab(toolchain: dict[str, str]) -> Iterator[Lab]:
    """A lab that does not run: it only keeps accounts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADDRESSBOOK_LAB_NAME", f"first-day-{os.getpid()}")
        patch.setenv("ADDRESSBOOK_LAB_NETWORK", UNUSED_NETWORK)
        own = Lab.from_environment()
        own.state.mkdir(mode=0o700)
        try:
            yield own
        finally:
            shutil.rmtree(own.state)
            (own.cache / "regctl" / f"{own.name}.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def prepared(own_lab: Lab) -> Callable[[str], Rehearsal]:
    """Return a function that returns a cloud's rehearsal, empty at first."""

    @cache
    def rehearsal_on(cloud: str) -> Rehearsal:
        rehearsal = prepare(own_lab, STACKS[cloud])
        rehearsal.pulumi("stack", "init")
        return rehearsal

    return rehearsal_on


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


#: DigitalOcean's platform without what needs a cluster that answers.
PLATFORM = """
import pulumi
from components.digitalocean.checks import Wanted, refuse_what_the_account_cannot_have
from components.digitalocean.cluster import Cluster, ClusterArgs
from components.digitalocean.live import look
from components.digitalocean.network import Network, NetworkArgs
from contract.update import wanted_version

name, region = "ours", "fra1"
live = look(name, region, {})
running = live.cluster.version if live.cluster else ""
version = wanted_version(pulumi.Config().require("kubernetesVersion"), running)
refuse_what_the_account_cannot_have(Wanted(name, version, "15", 2, None), live)
network = Network("network", NetworkArgs(name, region, live.network))
Cluster(
    "cluster",
    ClusterArgs(
        name=name, region=region, version=version, live=live.cluster, vpc=network.vpc, nodes=1, max_nodes=None,
        node_size="s-2vcpu-2gb", high_availability=False, maintenance=("sunday", "03:00"), tags=[], protect=False,
    ),
)
"""


@pytest.mark.soak
def test_digitaloceans_own_changes_cost_nothing(own_lab: Lab):
    """A cluster that it has upgraded, a default network that it keeps, a site that does not answer."""
    rehearsal = prepare(own_lab, STACKS["digitalocean"])
    shutil.rmtree(rehearsal.account.folder, ignore_errors=True)
    cluster = {"server": "https://127.77.0.2:6443", "certificate-authority-data": "Y2E="}
    own_lab.kubeconfig.write_text(yaml.safe_dump({"clusters": [{"cluster": cluster}]}))
    rehearsal.account.put(Record("ContainerRegistry", "ours", {"name": "ours"}, {"region": "fra1"}, ready=True))
    (rehearsal.program / "__main__.py").write_text(PLATFORM)
    run = rehearsal.pulumi

    run("stack", "init")
    first = {FAULT_VARIABLE: "default:Vpc"}
    run("up", "--yes", "--skip-preview", extra=first)
    (network,) = rehearsal.account.records("Vpc")
    (before,) = rehearsal.account.records("KubernetesCluster")
    run("up", "--yes", "--skip-preview", "--refresh", extra={FAULT_VARIABLE: "upgraded:KubernetesCluster"})
    (after,) = rehearsal.account.records("KubernetesCluster")
    assert (after.id, after.outputs["version"]) == (before.id, "1.34.5-do.0")
    run("preview", "--expect-no-changes")

    rehearsal.configure("kubernetesVersion", "1.99.1-do.0")
    refused = run("preview", check=False).stdout
    assert "cluster ours runs 1.34.5-do.0, and takes one step at a time" in refused
    run("preview", "--expect-no-changes", extra={LEAVE_PLATFORM: "true"})

    stopped = run("destroy", "--yes", "--skip-preview", check=False, extra={FAULT_VARIABLE: "undeletable:Vpc"})
    assert "deleting the VPC: no answer from a site that the deletion needs" not in stopped.stdout, "it is kept"
    assert rehearsal.account.records("Vpc") == [network]
    rehearsal.configure("kubernetesVersion", "1.34.1-do.0")
    run("up", "--yes", "--skip-preview")
    assert rehearsal.account.records("Vpc") == [network], "taken over"
    stopped = run(
        "destroy", "--yes", "--skip-preview", check=False, extra={FAULT_VARIABLE: "undeletable:KubernetesNodePool"}
    )
    assert "deleting the Kubernetes node pool: no answer from a site that the deletion needs" in stopped.stdout
    assert rehearsal.account.records("KubernetesCluster")
    run("destroy", "--yes", "--skip-preview")
    assert not rehearsal.account.records("KubernetesCluster")
