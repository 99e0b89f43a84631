"""Whom the real PostgreSQL servers behind database instances let in: what security groups and parameters say."""

from __future__ import annotations

import threading

from lab.plugins import zones
from lab.plugins.account import Account, Record
from lab.plugins.database import refusing
from lab.plugins.postgres import Server

SUPERUSER = "rdsadmin"  # as in RDS, where only AWS has it
FORCE_TLS = "rds.force_ssl"
#: Beside the accounts: the authority of a region's databases is AWS's, and stays when an account is emptied.
SERVERS = "aws-rds"

#: Where the books have the address that an instance's host name stands for.
ADDRESS = "__address"
PORT = 5432
#: What AWS answers while a server can't be had.
FAILURE = "500 InternalFailure:"

_one_at_a_time = threading.Lock()


def server(account: Account, instance: Record) -> Server:
    """The server behind a database instance."""
    return Server(
        account.lab,
        account.folder.parent / SERVERS / f"database-{instance.id}",
        instance.inputs.get("port", PORT),
        SUPERUSER,
        address=instance.outputs.get(ADDRESS, ""),
        names=[instance.outputs.get("address", "")],
    )


def zone(instance: Record) -> str:
    """The DNS zone that its host name is in."""
    return instance.outputs.get("address", "").partition(".")[2]


def remove(account: Account, instance: Record) -> None:
    """End the server and forget its name, as far as there are any."""
    server(account, instance).destroy()
    if instance.outputs.get("address"):
        zones.remove(account.lab, zone(instance))


def set_all(account: Account) -> None:
    """Let in whom the account says now, at every server that runs. Raises Refused."""
    for each in account.records():
        if each.type == "Instance" and each.outputs.get(ADDRESS):
            set_one(account, each)


def set_one(account: Account, instance: Record) -> None:
    """Let in whom the account says now, if the instance's server runs. Raises Refused."""
    with _one_at_a_time:  # else an older answer may be written over a newer one
        database = server(account, instance)
        if not database.running():
            return
        with refusing(FAILURE):
            database.admit(sources(account, instance), tls_only=forces_tls(account, instance))


def sources(account: Account, instance: Record) -> list[str]:
    """Address ranges that may connect to an instance."""
    groups, port = instance.inputs.get("vpcSecurityGroupIds") or [], instance.inputs.get("port", PORT)
    found: set[str] = set()
    for rule in account.records():
        if rule.type == "SecurityGroupIngressRule" and rule.inputs["securityGroupId"] in groups:
            found |= _range(account, rule, port)
    return sorted(found)


def _range(account: Account, rule: Record, port: int) -> set[str]:
    """Where a rule lets in from; pods are in the group of their cluster's nodes."""
    lowest, highest = rule.inputs.get("fromPort", 0), rule.inputs.get("toPort", 65535)
    if not lowest <= port <= highest:
        return set()
    if rule.inputs.get("cidrIpv4"):
        return {rule.inputs["cidrIpv4"]}
    nodes = {
        (each.outputs.get("vpcConfig") or {}).get("clusterSecurityGroupId")
        for each in account.records()
        if each.type == "Cluster"
    }
    return {account.lab.pod_range} if rule.inputs.get("referencedSecurityGroupId") in nodes else set()


def forces_tls(account: Account, instance: Record) -> bool:
    """What rds.force_ssl is for the instance; on by default from PostgreSQL 15."""
    group = account.get("ParameterGroup", instance.inputs.get("parameterGroupName") or "")
    for each in (group.inputs.get("parameters") or []) if group else []:
        if each["name"] == FORCE_TLS:
            return each["value"] == "1"
    return True
