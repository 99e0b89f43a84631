"""Stand-in for the `aws` command, with the two operations a stack needs: the caller's identity, a cluster's login."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from typing_extensions import override

from lab.layout import Lab
from lab.plugins.account import Account
from lab.plugins.aws.access import caller_admitted
from lab.plugins.aws.account import CALLER, CALLER_ID, NUMBER, missing_login
from lab.plugins.exec_credential import exec_credential

# Exit codes of the real command (user guide, return codes).
WRONG_USE, NO_CREDENTIALS, REFUSED = 252, 253, 254


class _Parser(ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        known = "this stand-in knows only `aws sts get-caller-identity` and `aws eks get-token`"
        print(f"{known}: {message} (simulated aws)", file=sys.stderr)
        sys.exit(WRONG_USE)


def _parser() -> ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument("--output", choices=["json"], default="json")
    parser = _Parser(prog="aws", description=__doc__)
    parser.add_argument("--region", default="")
    services = parser.add_subparsers(dest="service", required=True)
    sts = services.add_parser("sts").add_subparsers(dest="operation", required=True)
    sts.add_parser("get-caller-identity", parents=[common])
    eks = services.add_parser("eks").add_subparsers(dest="operation", required=True)
    token = eks.add_parser("get-token", parents=[common])
    token.add_argument("--cluster-name", required=True)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Answer as the real command would; return the exit code."""
    given = _parser().parse_args(arguments)
    if reason := missing_login():
        code, colon, message = reason.partition(": ")
        if not colon:
            return _refuse(reason, NO_CREDENTIALS)
        operation = "".join(word.capitalize() for word in given.operation.split("-"))
        return _refuse(f"An error occurred ({code}) when calling the {operation} operation: {message}", REFUSED)
    return _identity() if given.operation == "get-caller-identity" else _token(given)


def _identity() -> int:
    print(json.dumps({"UserId": CALLER_ID, "Account": NUMBER, "Arn": CALLER}, indent=4))
    return 0


def _token(given: Namespace) -> int:
    """Print a login. The real command prints one for any name and caller, and the cluster refuses it; here, it does."""
    lab = Lab.from_environment()
    cluster = Account(lab, "aws").get("Cluster", given.cluster_name)
    if cluster is None or cluster.inputs["region"] != given.region:
        return _refuse(f"the simulated account has no cluster {given.cluster_name} in {given.region}", REFUSED)
    if not caller_admitted(Account(lab, "aws"), given.cluster_name):
        return _refuse(f"Unauthorized: {CALLER} has no access entry in the cluster {given.cluster_name}", REFUSED)
    print(exec_credential(lab))
    return 0


def _refuse(reason: str, code: int) -> int:
    print(f"{reason} (simulated aws)", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
