"""What work with a DigitalOcean account needs on this machine, and how its resources are named and tagged."""

from __future__ import annotations

import os
import re
import shutil

import pulumi
from pulumi.runtime import config as engine_config

#: Environment variables that the provider takes its token from; doctl reads the last one too.
TOKEN_VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
TOKEN_CONFIG = "digitalocean:token"  # noqa: S105 the name of a config key
#: A database cluster's name, the strictest: 3 to 63 characters, the first a letter (API reference, Databases).
_NAME = re.compile(r"^[a-z][a-z0-9-]{1,61}[a-z0-9]$")
#: Letters, digits, colons, dashes and underscores, 255 at most (API reference, Tags).
_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9:_-]")
TAG_LENGTH = 255


def lacking() -> list[str]:
    """What is not there: credentials for the provider, the command that gets those for the cluster, a usable name."""
    faults: list[str] = []
    if not _NAME.match(stack_name()):
        faults.append(
            f"stack: its resources would be called `{stack_name()}`, and DigitalOcean takes lower-case letters, digits"
            " and dashes, 63 at most; `pulumi stack rename` gives it another name"
        )
    given = engine_config.CONFIG.get().get(TOKEN_CONFIG) or any(os.environ.get(name) for name in TOKEN_VARIABLES)
    if not given:
        faults.append(
            "credentials: there is no DigitalOcean API token; export DIGITALOCEAN_ACCESS_TOKEN, which the provider"
            f" and doctl both read (or `pulumi config set --secret {TOKEN_CONFIG}`, and `doctl auth init` beside it)"
        )
    if shutil.which("doctl") is None:
        faults.append(
            "doctl: not on PATH, and the cluster's short-lived credentials come from it; install DigitalOcean's command"
            " line (https://docs.digitalocean.com/reference/doctl/how-to/install/)"
        )
    return faults


def stack_name() -> str:
    """Name of the stack's cluster, VPC and database: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_tags() -> list[str]:
    """Tags of everything in the stack that can carry tags."""
    tags = (f"pulumi-project:{pulumi.get_project()}", f"pulumi-stack:{pulumi.get_stack()}")
    return [_NOT_IN_A_TAG.sub("-", tag)[:TAG_LENGTH] for tag in tags]
