"""How a stack on AWS is rehearsed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.certificates import Authority
from lab.plugins.account import Account
from lab.plugins.aws.account import KEY_VARIABLES, NUMBER
from lab.plugins.aws.doors import SERVERS, remove
from lab.simulation import Simulation

AUTHORITY = "rds-authority.pem"


def _login(folder: Path) -> Mapping[str, str]:
    """Keys that no account has, and files that hold no other ones; and the certificates that AWS publishes."""
    authority = Authority(folder.parents[1] / "clouds" / SERVERS / "authority")  # the lab's state, as for the servers
    authority.ensure()
    shutil.copy(authority.certificate, folder / AUTHORITY)
    nothing = folder / "no-aws-configuration"
    return {
        **dict.fromkeys(KEY_VARIABLES, "of-the-simulated-account"),
        "AWS_CONFIG_FILE": str(nothing),
        "AWS_SHARED_CREDENTIALS_FILE": str(nothing),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _clear(account: Account) -> None:
    for record in account.records():
        if record.type == "Instance":
            remove(account, record)
        elif record.type == "Repository":
            shutil.rmtree(account.lab.repositories / record.id, ignore_errors=True)


SIMULATION = Simulation(
    login=_login,
    clear=_clear,
    commands={"aws": "lab.plugins.aws.command"},
    config={
        "addressbook:awsAccount": NUMBER,
        "addressbook:databaseAuthority": f"../{AUTHORITY}",
        "addressbook:addonVersions": None,  # the simulated ones are made up
    },
    servers=SERVERS,
    domains=("rds.amazonaws.com",),
    hidden=(
        "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION",
    ),
)  # fmt: skip
