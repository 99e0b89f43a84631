"""What work with an AWS account needs on this machine, and how its resources are named and tagged."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache

import pulumi

from components import registry_client

#: The strictest of the names: a database instance's is lower-case letters, digits and single dashes (RDS API
#: reference, CreateDBInstance); an IAM role's is 64 characters at most, of which ours add up to 8.
_NAME = re.compile(r"^(?!.*--)[a-z][a-z0-9-]{0,54}[a-z0-9]$")
#: Seconds that the account may take to say who is calling.
ANSWER_SECONDS = 30
INSTALL = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"


def missing_prerequisites() -> list[str]:
    """What is not there: a usable name, the command that gets the cluster's credentials, valid AWS credentials."""
    faults: list[str] = []
    if not _NAME.match(stack_name()):
        faults.append(
            f"stack: its resources would be called `{stack_name()}`, and AWS takes lower-case letters, digits and"
            " single dashes, 56 at most; `pulumi stack rename` gives it another name"
        )
    return faults + missing_access()


def missing_access() -> list[str]:
    """The same, where nothing in the account is named after the stack."""
    faults = registry_client.lacking_for_tags()
    if shutil.which("aws") is None:
        faults.append(
            "aws: not on PATH, and the cluster's short-lived credentials come from it; install the AWS command line,"
            f" version 2 ({INSTALL})"
        )
    elif refusal := _refused():
        faults.append(
            f"credentials: AWS takes none from this machine ({refusal}); `aws sso login` or `aws configure`, or export"
            " AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which the provider reads too"
        )
    return faults


def _refused() -> str:
    """Why AWS doesn't know the caller (missing, expired, wrong credentials); "" if it does."""
    try:
        done = caller_identity()
    except subprocess.TimeoutExpired:
        return f"no answer in {ANSWER_SECONDS} s"
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.split()).rstrip(".")
    return said or f"`aws sts get-caller-identity` ended with {done.returncode}"


def caller_account() -> str:
    """Number of the account that this machine's credentials are of; "" where there is no answer."""
    try:
        return str(json.loads(caller_identity().stdout)["Account"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return ""


@cache
def caller_identity() -> subprocess.CompletedProcess[str]:
    """What AWS answers to who is calling; asked once in a run. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        ["aws", "sts", "get-caller-identity", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
        check=False,
    )


def stack_name() -> str:
    """Name of the stack's cluster, database and image repositories: ``<project>-<stack>``."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}"


def stack_tags() -> dict[str, str]:
    """Tags of everything in the stack that can carry tags."""
    return {"pulumi-project": pulumi.get_project(), "pulumi-stack": pulumi.get_stack()}
