"""Check access to an AWS account, and name and tag its resources."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache

import pulumi
import pulumi_aws as aws

from components import registry_client
from components.invokes import ask
from contract.errors import invalid_config

#: The strictest rules for names. Database instances: lower-case letters, digits and single dashes (RDS API reference,
#: CreateDBInstance). IAM roles: at most 64 characters, including suffixes of 8.
_NAME = re.compile(r"^(?!.*--)[a-z][a-z0-9-]{0,54}[a-z0-9]$")
#: ARN of a user or role, the principals of access entries.
PRINCIPAL = r"^arn:aws:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+$"
#: Timeout of an AWS CLI call, in seconds.
CALL_SECONDS = 30
INSTALL = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"


def missing_prerequisites() -> list[str]:
    """Return an error for each missing prerequisite: a valid resource name, commands, valid AWS credentials."""
    errors: list[str] = []
    if not _NAME.match(stack_name()):
        errors.append(
            f"stack: its resources would be called `{stack_name()}`, but AWS allows only lower-case letters, digits and"
            " single dashes, 56 at most; rename it with `pulumi stack rename`"
        )
    return errors + missing_access()


def missing_access() -> list[str]:
    """Return an error for each missing prerequisite of a stack that names no resource after itself."""
    errors = registry_client.missing_tagging_prerequisites()
    if shutil.which("aws") is None:
        errors.append(
            "aws: is not on PATH, but is needed to get the cluster's credentials; install the AWS command line, version"
            f" 2 ({INSTALL})"
        )
    elif refusal := _refusal():
        errors.append(
            f"credentials: AWS rejects those of this machine ({refusal}); run `aws sso login` or `aws configure`, or"
            " export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return errors


def _refusal() -> str:
    """Return why AWS refuses the credentials (missing, expired, wrong), or ""."""
    try:
        done = caller_identity()
    except subprocess.TimeoutExpired:
        return f"no answer in {CALL_SECONDS} s"
    if done.returncode == 0:
        return ""
    message = " ".join(done.stderr.split()).rstrip(".")
    return message or f"`aws sts get-caller-identity` ended with {done.returncode}"


def caller_account() -> str:
    """Return the number of the account of this machine's credentials, or "" if AWS does not answer."""
    try:
        return str(json.loads(caller_identity().stdout)["Account"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return ""


def caller_principal(opts: pulumi.InvokeOptions) -> str:
    """Return the ARN of the caller's IAM user or role, as EKS' access entries take it: a role's with its path.

    Raises pulumi.RunError if AWS does not answer, or if the caller is neither a user nor a role.
    """
    identity = caller_identity().stdout
    arn = str(json.loads(identity).get("Arn", "")) if identity.strip() else ""
    if ":assumed-role/" in arn:
        # The session's ARN lacks the role's path, which roles of IAM Identity Center have.
        arn = ask(
            lambda: aws.iam.get_session_context(arn=arn, opts=opts),
            f"role of the caller {arn}",
            "the caller needs the right iam:GetRole on its own role",
        ).issuer_arn
    if not re.match(PRINCIPAL, arn):
        raise invalid_config(
            [
                f"credentials: they belong to {arn or 'an unknown caller'}, which EKS gives no access; use those of an"
                " IAM role or user (`aws sts get-caller-identity`)"
            ]
        )
    return arn


@cache
def caller_identity() -> subprocess.CompletedProcess[str]:
    """Ask AWS who is calling, once per run. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        ["aws", "sts", "get-caller-identity", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS,
        check=False,
    )


def stack_name() -> str:
    """Return the name of the stack's cluster, database and image repositories: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_tags(own: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of all resources that can have tags: the config's own, and those that lead to the stack."""
    return {**own, "pulumi-project": pulumi.get_project(), "pulumi-stack": pulumi.get_stack()}


def check_account(wanted: str) -> None:
    """Raise pulumi.RunError if the credentials belong to another account than the stack's."""
    if wanted and (account := caller_account()) != wanted:
        raise invalid_config(
            [
                f"awsAccount = '{wanted}': this machine's credentials are of account {account or '(no answer)'}; sign"
                " in to the stack's account (AWS_PROFILE, `aws sso login`), or correct the key"
            ]
        )
