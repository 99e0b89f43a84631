"""What work with a DigitalOcean account needs on this machine, and how its resources are named and tagged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pulumi
from pulumi.runtime import config as engine_config

#: The environment variable that the provider and doctl both take a token from; and one that the provider alone knows.
TOKEN_VARIABLE = "DIGITALOCEAN_ACCESS_TOKEN"  # noqa: S105 the name of a variable
PROVIDER_TOKEN_VARIABLE = "DIGITALOCEAN_TOKEN"  # noqa: S105
TOKEN_CONFIG = "digitalocean:token"  # noqa: S105 the name of a config key
#: A database cluster's name, the strictest: 3 to 63 characters, the first a letter (API reference, Databases).
_NAME = re.compile(r"^[a-z][a-z0-9-]{1,61}[a-z0-9]$")
#: Letters, digits, colons, dashes and underscores, 255 at most (API reference, Tags).
_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9:_-]")
TAG_LENGTH = 255
#: Seconds that the account may take to answer.
ANSWER_SECONDS = 30


def missing_prerequisites() -> list[str]:
    """What is not there: credentials for the provider, the command that gets those for the cluster, a usable name."""
    faults: list[str] = []
    if not _NAME.match(stack_name()):
        faults.append(
            f"stack: its resources would be called `{stack_name()}`, and DigitalOcean takes lower-case letters, digits"
            " and dashes, 63 at most; `pulumi stack rename` gives it another name"
        )
    wrong = _credentials_fault()
    if wrong:
        faults.append(f"credentials: {wrong}")
    if shutil.which("doctl") is None:
        faults.append(
            "doctl: not on PATH, and the cluster's short-lived credentials come from it; install DigitalOcean's command"
            " line (https://docs.digitalocean.com/reference/doctl/how-to/install/)"
        )
    elif not wrong and (refusal := _refused()):
        faults.append(
            f"credentials: DigitalOcean takes none from this machine ({refusal}); make a new API token in its control"
            f" panel and export {TOKEN_VARIABLE} (or `pulumi config set --secret {TOKEN_CONFIG}`, and `doctl auth init`"
            " beside it)"
        )
    return faults


def _credentials_fault() -> str | None:
    """What is wrong with the API token: provider and doctl look for theirs in different places."""
    if os.environ.get(TOKEN_VARIABLE):
        return None
    if not (engine_config.CONFIG.get().get(TOKEN_CONFIG) or os.environ.get(PROVIDER_TOKEN_VARIABLE)):
        return (
            f"there is no DigitalOcean API token; export {TOKEN_VARIABLE}, which the provider and doctl both read"
            f" (or `pulumi config set --secret {TOKEN_CONFIG}`, and `doctl auth init` beside it)"
        )
    if not (file := _doctl_config()).is_file():
        return (
            "the provider has a DigitalOcean API token, but doctl, which gets the cluster's credentials, has none:"
            f" there is no {file}; export {TOKEN_VARIABLE}, which both read, or run `doctl auth init`"
        )
    return None


def _refused() -> str:
    """Why DigitalOcean takes no request with the provider's token (expired, revoked); "" if it does."""
    configured = engine_config.CONFIG.get().get(TOKEN_CONFIG)
    token = str(configured or os.environ.get(PROVIDER_TOKEN_VARIABLE) or os.environ.get(TOKEN_VARIABLE))
    try:
        done = subprocess.run(
            ["doctl", "account", "get"],
            env={**os.environ, TOKEN_VARIABLE: token},
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {ANSWER_SECONDS} s"
    said = " ".join(done.stderr.rpartition("Error: ")[2].split()).rstrip(".")
    # Another answer than 401 is one to a token that DigitalOcean knows, which may have no right to see the account.
    return said if done.returncode != 0 and " 401 " in said else ""


def _doctl_config() -> Path:
    """The file that `doctl auth init` writes: in the system's folder for config, unless a variable names another."""
    if named := os.environ.get("DIGITALOCEAN_CONFIG"):
        return Path(named)
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "doctl" / "config.yaml"


def stack_name() -> str:
    """Name of the stack's cluster, VPC and database: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_tags() -> list[str]:
    """Tags of everything in the stack that can carry tags."""
    tags = (f"pulumi-project:{pulumi.get_project()}", f"pulumi-stack:{pulumi.get_stack()}")
    return [_NOT_IN_A_TAG.sub("-", tag)[:TAG_LENGTH] for tag in tags]
