"""Whom the real PostgreSQL servers behind database instances admit, by security groups and parameters."""

from __future__ import annotations

import threading

from lab.plugins.account import Account, Record
from lab.plugins.database import refusing
from lab.plugins.kind import values_at
from lab.plugins.postgres import Server
from lab.plugins.properties import Properties

SUPERUSER = "rdsadmin"  # as in RDS, where only AWS has it
FORCE_TLS = "rds.force_ssl"
#: Folder beside the accounts: a region's database authority is AWS's, and stays when an account is emptied.
SERVERS = "aws-rds"
#: The account's record of the address behind an instance's host name.
ADDRESS = "__address"
PORT = 5432
#: AWS's answer while a server is unavailable.
FAILURE = "500 InternalFailure:"

_one_at_a_time = threading.Lock()


def server(account: Account, instance: Record) -> Server:
    """Return the server behind a database instance."""
    return Server(
        account.lab,
        account.folder.parent / SERVERS / f"database-{instance.id}",
        instance.inputs.get("port", PORT),
        SUPERUSER,
        address=instance.outputs.get(ADDRESS, ""),
        names=[instance.outputs.get("address", "")],
    )


def apply_change(account: Account, record: Record, new: Properties) -> None:
    """Store a rule's or parameter group's new inputs, and apply them to every server. Raises ApiError."""
    record.inputs = new
    account.put(record)
    apply_all(account)


def apply_all(account: Account) -> None:
    """Apply the account's rules to every running server. Raises ApiError."""
    for each in account.records("Instance"):
        if each.outputs.get(ADDRESS):
            apply(account, each)


def apply(account: Account, instance: Record) -> None:
    """Apply the account's rules to an instance's server if it runs. Raises ApiError."""
    with _one_at_a_time:  # so that no older result overwrites a newer one
        database = server(account, instance)
        if database.running():
            with refusing(FAILURE):
                database.admit(sources(account, instance), tls_only=forces_tls(account, instance))


def sources(account: Account, instance: Record) -> list[str]:
    """Return the address ranges that may connect to an instance."""
    groups, port = instance.inputs.get("vpcSecurityGroupIds") or [], instance.inputs.get("port", PORT)
    rules = [each for each in account.records("SecurityGroupIngressRule") if each.inputs["securityGroupId"] in groups]
    return sorted({source for rule in rules for source in _ranges(account, rule, port)})


def _ranges(account: Account, rule: Record, port: int) -> list[str]:
    """Return the ranges that a rule admits; pods are in the group of their cluster's nodes."""
    if not rule.inputs.get("fromPort", 0) <= port <= rule.inputs.get("toPort", 65535):
        return []
    if rule.inputs.get("cidrIpv4"):
        return [rule.inputs["cidrIpv4"]]
    nodes = values_at([each.outputs for each in account.records("Cluster")], "vpcConfig.clusterSecurityGroupId")
    return [account.lab.pod_range] if rule.inputs.get("referencedSecurityGroupId") in nodes else []


def forces_tls(account: Account, instance: Record) -> bool:
    """Return the instance's `rds.force_ssl`; it is on by default from PostgreSQL 15."""
    group = account.get("ParameterGroup", instance.inputs.get("parameterGroupName") or "")
    for each in (group.inputs.get("parameters") or []) if group else []:
        if each["name"] == FORCE_TLS:
            return each["value"] == "1"
    return True
