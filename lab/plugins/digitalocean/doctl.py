"""Stand-in for doctl, with the commands a stack needs: what the account has and offers, and logins."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.layout import Lab
from lab.plugins.account import EXPIRED, Account, Record, credentials_expired, injected_fault
from lab.plugins.digitalocean.databases import DatabaseCluster
from lab.plugins.digitalocean.kubernetes import KubernetesCluster
from lab.plugins.digitalocean.network import REGIONS
from lab.plugins.digitalocean.upgrading import Upgrading
from lab.plugins.digitalocean.versions import OFFERED, upgrades
from lab.plugins.engine import Engine
from lab.plugins.exec_credential import exec_credential

ACCOUNT = ["account", "get"]
COMMAND = ["kubernetes", "cluster", "kubeconfig", "exec-credential"]
#: Droplets that the account may have; with the fault ``quota:Droplet``, as many as a new account.
DROPLET_LIMIT, NEW_DROPLET_LIMIT = 25, 3


class Refusal(Exception):
    """The API's answer to a wrong request."""


def main(arguments: Sequence[str]) -> int:
    """Answer as the real command would, in JSON or as an ExecCredential; return the exit code."""
    positional = _positional(arguments)
    command = next((each for each in ANSWERS if positional[: len(each)] == list(each)), None)
    if command is None:
        known = ", ".join(f"`doctl {' '.join(each)}`" for each in ANSWERS)
        return _refuse(f"this stand-in knows only {known}")
    if not _token():
        return _refuse("there is no access token: export DIGITALOCEAN_ACCESS_TOKEN or run `doctl auth init`")
    if credentials_expired():
        return _refuse(f"GET https://api.digitalocean.com/v2/account: 401 {EXPIRED}")
    try:
        answer = ANSWERS[command](Account(Lab.from_environment(), "digitalocean"), positional[len(command) :])
    except Refusal as refusal:
        return _refuse(str(refusal))
    print(answer if isinstance(answer, str) else json.dumps(answer))
    return 0


def _positional(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without options; ``--output`` is the only one with a value of its own."""
    return [
        each
        for before, each in zip(["", *arguments], arguments, strict=False)
        if not each.startswith("-") and before != "--output"
    ]


def _credential(account: Account, rest: Sequence[str]) -> str:
    if account.get("KubernetesCluster", rest[-1]) is None:
        raise Refusal(f"404 the simulated account has no Kubernetes cluster {rest[-1]}")
    return exec_credential(account.lab)


def _account(_: Account, __: Sequence[str]) -> Mapping[str, Any]:
    limit = NEW_DROPLET_LIMIT if injected_fault("Droplet") == "quota" else DROPLET_LIMIT
    return {"droplet_limit": limit, "email": "of-the-lab@example.com", "status": "active"}


def _droplets(account: Account, _: Sequence[str]) -> list[Any]:
    pools = [each.outputs.get("nodes", []) for each in account.records("KubernetesNodePool")]
    pools += [each.outputs.get("nodePool", {}).get("nodes", []) for each in account.records("KubernetesCluster")]
    return [{"id": node["dropletId"], "name": node["name"]} for nodes in pools for node in nodes]


def _clusters(account: Account, _: Sequence[str]) -> list[Any]:
    return [{**_row(each), "status": {"state": each.outputs["status"]}} for each in _live(account, KubernetesCluster)]


def _databases(account: Account, _: Sequence[str]) -> list[Any]:
    return [
        {**_row(each), "engine": "pg", "status": each.outputs.get("status", DatabaseCluster.settled)}
        for each in _live(account, DatabaseCluster)
    ]


def _live(account: Account, kind: type[Upgrading]) -> list[Record]:
    """Return the finished resources of a kind, with the upgrades that are done meanwhile."""
    found = [each for each in account.records(kind.__name__) if each.ready]
    for record in found:
        record.outputs |= kind(account, Engine()).upgraded(record)
    return found


def _row(record: Record) -> dict[str, Any]:
    inputs = record.inputs
    version = record.outputs.get("version", inputs.get("version"))
    return {"id": record.id, "name": inputs["name"], "region": inputs["region"], "version": version}


def _networks(account: Account, _: Sequence[str]) -> list[Any]:
    """Return the account's VPCs, and each region's default one, unless the fault says that there is none yet."""
    own = [{**_row(each), "default": bool(each.outputs.get("default"))} for each in account.records("Vpc")]
    with_default = {row["region"] for row in own if row["default"]}
    if injected_fault("Vpc") == "default":
        return own
    return own + [
        {"id": f"default-of-{region}", "name": f"default-{region}", "region": region, "default": True}
        for region in sorted(map(str, REGIONS.values))
        if region not in with_default
    ]


def _versions(_: Account, __: Sequence[str]) -> list[Any]:
    offered = OFFERED[:1] if injected_fault("KubernetesCluster") == "retired" else OFFERED
    return [{"slug": slug, "kubernetes_version": slug.partition("-")[0]} for slug in offered]


def _upgrades(account: Account, rest: Sequence[str]) -> list[Any]:
    clusters = {each.id: each for each in _live(account, KubernetesCluster)}
    if rest[-1] not in clusters:
        raise Refusal(f"404 the simulated account has no Kubernetes cluster {rest[-1]}")
    return [{"slug": slug} for slug in upgrades(_row(clusters[rest[-1]])["version"])]


def _registries(account: Account, _: Sequence[str]) -> list[Any]:
    return [{"name": each.id, "region": each.outputs.get("region")} for each in account.records("ContainerRegistry")]


def _docker_config(account: Account, rest: Sequence[str]) -> Mapping[str, Any]:
    if account.get("ContainerRegistry", rest[-1]) is None:
        raise Refusal(f"404 the simulated account has no container registry {rest[-1]}")
    token = secrets.token_hex(32)
    return {"auths": {account.lab.registry: {"auth": base64.b64encode(f"{token}:{token}".encode()).decode()}}}


ANSWERS: Mapping[tuple[str, ...], Callable[[Account, Sequence[str]], Any]] = {
    tuple(ACCOUNT): _account,
    tuple(COMMAND): _credential,
    ("compute", "droplet", "list"): _droplets,
    ("databases", "list"): _databases,
    ("kubernetes", "cluster", "get-upgrades"): _upgrades,
    ("kubernetes", "cluster", "list"): _clusters,
    ("kubernetes", "options", "versions"): _versions,
    ("registries", "docker-config"): _docker_config,
    ("registries", "list"): _registries,
    ("vpcs", "list"): _networks,
}


def _token() -> str | None:
    """Return the token from where doctl looks: the environment, then the default context of its config file."""
    if token := os.environ.get("DIGITALOCEAN_ACCESS_TOKEN"):
        return token
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    file = Path(os.environ.get("DIGITALOCEAN_CONFIG") or folder / "doctl" / "config.yaml")
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("access-token") if file.is_file() else None


def _refuse(reason: str) -> int:
    print(f"Error: {reason} (simulated doctl)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
