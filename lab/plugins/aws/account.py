"""The simulated account: its number, its caller, its regions and their zones."""

from __future__ import annotations

import os

from lab.plugins.account import credentials_expired

NUMBER = "123456789012"
#: The caller is a session of a role of IAM Identity Center, whose ARN lacks the role's path.
CALLER_ROLE_NAME = "AWSReservedSSO_Rehearsal_0123456789abcdef"
CALLER_ROLE = f"arn:aws:iam::{NUMBER}:role/aws-reserved/sso.amazonaws.com/{CALLER_ROLE_NAME}"
CALLER = f"arn:aws:sts::{NUMBER}:assumed-role/{CALLER_ROLE_NAME}/rehearsal"
CALLER_ID = "AROAREHEARSALEXAMPLE0:rehearsal"
#: The login to the account; the provider and the command line read the same variables.
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

# Regions that every account has, and their number of zones if not three (AWS documentation, Regions and Zones).
REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
    "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1",
    "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2",
)  # fmt: skip
ZONES = {"us-east-1": 6, "us-west-2": 4, "us-west-1": 2}
_DIRECTIONS = {"central": "c", "north": "n", "south": "s", "east": "e", "west": "w"}


def missing_login() -> str:
    """Return why AWS does not accept the caller, in the words of its tools; "" if it does."""
    if credentials_expired():
        return "ExpiredToken: The security token included in the request is expired"
    if not all(os.environ.get(name) for name in KEY_VARIABLES):
        return 'Unable to locate credentials. You can configure credentials by running "aws configure".'
    return ""


def zones(region: str) -> dict[str, str]:
    """Return the names of a region's zones and their ids (``eu-central-1a``: ``euc1-az1``)."""
    continent, direction, number = region.split("-")
    short = direction
    for name, letter in _DIRECTIONS.items():
        short = short.replace(name, letter)
    letters = "abcdef"[: ZONES.get(region, 3)]
    return {f"{region}{letter}": f"{continent}{short}{number}-az{at}" for at, letter in enumerate(letters, start=1)}
