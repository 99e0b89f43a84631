"""Check access to a DigitalOcean account, and name and tag its resources."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pulumi
from pulumi.runtime import config as engine_config

from components.digitalocean.doctl import PROVIDER_TOKEN_VARIABLE, TOKEN_CONFIG, TOKEN_VARIABLE, DoctlError, ask

#: The strictest rule for names is that of database clusters: 3 to 63 characters (API reference, Databases).
_NAME = re.compile(r"^[a-z][a-z0-9-]{1,61}[a-z0-9]$")
#: Tags have letters, digits, colons, dashes and underscores, 255 at most (API reference, Tags).
_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9:_-]")
TAG_LENGTH = 255


def missing_prerequisites() -> list[str]:
    """Return an error for each missing prerequisite: a valid resource name, an API token, doctl."""
    errors: list[str] = []
    if not _NAME.match(stack_name()):
        errors.append(
            f"stack: its resources would be called `{stack_name()}`, but DigitalOcean allows only lower-case letters,"
            " digits and dashes, 63 at most; rename it with `pulumi stack rename`"
        )
    token_error = _token_error()
    if token_error:
        errors.append(f"credentials: {token_error}")
    if shutil.which("doctl") is None:
        errors.append(
            "doctl: is not on PATH, but is needed to get the cluster's credentials; install it"
            " (https://docs.digitalocean.com/reference/doctl/how-to/install/)"
        )
    elif not token_error and (refusal := _refusal()):
        errors.append(
            f"credentials: DigitalOcean refuses the API token ({refusal}); create a new one in the control panel and"
            f" export {TOKEN_VARIABLE} (or run `pulumi config set --secret {TOKEN_CONFIG}` and `doctl auth init`)"
        )
    return errors


def _token_error() -> str | None:
    """Return the problem with the API token, or None. Provider and doctl read theirs from different places."""
    if os.environ.get(TOKEN_VARIABLE):
        return None
    if not (engine_config.CONFIG.get().get(TOKEN_CONFIG) or os.environ.get(PROVIDER_TOKEN_VARIABLE)):
        return (
            f"there is no DigitalOcean API token; export {TOKEN_VARIABLE}"
            f" (or run `pulumi config set --secret {TOKEN_CONFIG}` and `doctl auth init`)"
        )
    if not (file := _doctl_config()).is_file():
        return (
            "the provider has a DigitalOcean API token, but doctl, which gets the cluster's credentials, has none"
            f" (there is no {file}); export {TOKEN_VARIABLE}, which both read, or run `doctl auth init`"
        )
    return None


def _refusal() -> str:
    """Return why DigitalOcean refuses the provider's token (expired, revoked), or ""."""
    try:
        ask("account", "get")
    except DoctlError as error:
        # Any other error means that the token is valid, but may not read the account.
        return str(error) if " 401 " in str(error) or "no answer" in str(error) else ""
    return ""


def _doctl_config() -> Path:
    """Return the file that `doctl auth init` writes."""
    if named := os.environ.get("DIGITALOCEAN_CONFIG"):
        return Path(named)
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "doctl" / "config.yaml"


def stack_name() -> str:
    """Return the name of the stack's cluster, VPC and database: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_tags() -> list[str]:
    """Return the tags of all resources that can have tags."""
    tags = (f"pulumi-project:{pulumi.get_project()}", f"pulumi-stack:{pulumi.get_stack()}")
    return [_NOT_IN_A_TAG.sub("-", tag)[:TAG_LENGTH] for tag in tags]
