"""How a stack on AWS is rehearsed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.certificates import Authority
from lab.plugins.account import Account
from lab.plugins.aws.account import KEY_VARIABLES, NUMBER
from lab.plugins.aws.cloud import KINDS
from lab.plugins.aws.database_access import SERVERS
from lab.plugins.aws.rds import LOGS, Instance
from lab.plugins.engine import Engine
from lab.plugins.simulated import discard_all
from lab.simulation import Loss, Simulation

AUTHORITY = "rds-authority.pem"


def _login(folder: Path) -> Mapping[str, str]:
    """Return keys that no account has and paths of missing files; write the certificates that AWS publishes."""
    authority = Authority(folder.parents[1] / "clouds" / SERVERS / "authority")  # the servers' own, in the lab's state
    authority.ensure()
    shutil.copy(authority.certificate, folder / AUTHORITY)
    no_configuration = folder / "no-aws-configuration"
    return {
        **dict.fromkeys(KEY_VARIABLES, "of-the-simulated-account"),
        "AWS_CONFIG_FILE": str(no_configuration),
        "AWS_SHARED_CREDENTIALS_FILE": str(no_configuration),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _lose(account: Account) -> Loss:
    """Delete the instance as somebody in the console would, without its protection but with a last snapshot.

    Its last logs go to the log groups that still exist: a restore comes long after them.
    """
    (record,) = account.records(Instance.__name__)
    unprotected = replace(record, inputs={**record.inputs, "deletionProtection": False, LOGS: []})
    Instance(account, Engine()).delete(unprotected)
    snapshot = record.inputs["finalSnapshotIdentifier"]
    return Loss(f"instance {record.inputs['identifier']} was deleted", {"snapshot": snapshot})


SIMULATION = Simulation(
    login=_login,
    clear=partial(discard_all, KINDS),
    lose=_lose,
    commands={"aws": "lab.plugins.aws.command"},
    first_day=("expired", "name-taken:Repository", "quota:Eip", "timeout:Cluster"),
    drift="newer:Addon",
    unoffered_version="1.39",
    undeletable="Vpc",
    config={
        "addressbook:awsAccount": NUMBER,
        "addressbook:databaseAuthority": f"../{AUTHORITY}",
        "addressbook:addonVersions": None,  # the simulated versions are invented
        "addressbook:dnsZone": None,  # the lab's load balancer has an address and no host name
    },
    servers=SERVERS,
    domains=("rds.amazonaws.com",),
    hidden=(
        "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION",
    ),
)  # fmt: skip
