"""IAM roles: who may assume them, and what they may do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.component import Component

MANAGED_POLICY = "arn:aws:iam::aws:policy/"


@dataclass(frozen=True)
class RoleArgs:
    """Who may assume the role, and what it may do."""

    name: str
    #: Trust policy (JSON).
    trust: pulumi.Input[str]
    #: Names of AWS's managed policies.
    policies: Sequence[str]
    #: ARN of the policy that limits what the role may do, or "".
    boundary: str


class Role(Component):
    """A role with its managed policies."""

    #: Known once the policies are attached, so whatever uses the role waits, and `destroy` deletes that first.
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: RoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:Role", name, opts)
        options = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=args.name,
            assume_role_policy=args.trust,
            permissions_boundary=args.boundary or None,
            opts=options,
        )
        attached = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy}", role=role.name, policy_arn=f"{MANAGED_POLICY}{policy}", opts=options
            )
            for policy in args.policies
        ]
        self.arn = pulumi.Output.all(role.arn, *[each.id for each in attached]).apply(lambda values: values[0])
        self.register_outputs({"arn": self.arn})


def service_trust(service: str) -> str:
    """Return the trust policy for an AWS service, such as ``eks.amazonaws.com``."""
    return _policy({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def service_account_trust(provider: str, issuer: str, namespace: str, account: str) -> str:
    """Return the trust policy for one Kubernetes service account.

    ``provider`` is the ARN of the cluster's OpenID Connect provider, ``issuer`` the URL of its token issuer.
    """
    tokens = issuer.removeprefix("https://")
    return _policy(
        {
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{tokens}:aud": "sts.amazonaws.com",
                    f"{tokens}:sub": f"system:serviceaccount:{namespace}:{account}",
                }
            },
        }
    )


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
