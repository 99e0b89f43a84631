"""A simulated DigitalOcean account, and what is specific to DigitalOcean."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.components.simulated import Access, FirstPreview, SimulatedCloud

AUTHORITY = "-----BEGIN CERTIFICATE-----\nof the account\n-----END CERTIFICATE-----\n"
AUTH = base64.b64encode(b"robot:push-token").decode()
PULL_CONFIG = json.dumps({"auths": {"registry.digitalocean.com": {"auth": "pull-token"}}})
DATABASE_USER = "digitalocean:index/databaseUser:DatabaseUser"
PULL_CREDENTIALS = "digitalocean:index/containerRegistryDockerCredentials:ContainerRegistryDockerCredentials"


#: What doctl answers in an account with nothing in it, by command.
EMPTY_ACCOUNT: dict[str, Any] = {
    "account get": {"droplet_limit": 10},
    "compute droplet list": [],
    "databases list": [],
    "kubernetes cluster list": [],
    "kubernetes options versions": [{"slug": "1.35.1-do.0"}, {"slug": "1.34.1-do.0"}],
    "registries docker-config": {"auths": {"registry.digitalocean.com": {"auth": AUTH}}},
    "registries list": [],
    "vpcs list": [{"id": "vpc-of-the-region", "name": "default-nyc3", "region": "nyc3", "default": True}],
}


#: The stack's cluster, as doctl lists it.
CLUSTER = {
    "id": "cluster-id",
    "name": "addressbook-test",
    "region": "nyc3",
    "version": "1.34.1-do.0",
    "status": {"state": "running"},
}
#: The stack's database, as doctl lists it.
DATABASE = {"id": "database-id", "name": "addressbook-test", "region": "nyc3", "version": "15", "status": "online"}


def answer(commands: Path, **changed: Any) -> None:
    """Write a doctl that gives these answers; in the names, ``_`` stands for a space."""
    answers = {**EMPTY_ACCOUNT, **{name.replace("_", " "): value for name, value in changed.items()}}
    cases = "".join(f"'{command} '*) echo '{json.dumps(value)}';;\n" for command, value in answers.items())
    script = commands / "doctl"
    script.write_text(f'#!/bin/sh\ncase "$* " in\n{cases}*) echo "Error: unknown $*" >&2; exit 1;;\nesac\n')
    script.chmod(0o755)


def _sign_in(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(commands)
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "of-a-test")
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    monkeypatch.setenv("DIGITALOCEAN_API_URL", "http://127.0.0.1:9")


DIGITALOCEAN = SimulatedCloud(
    name="digitalocean",
    config={
        "cloud": "digitalocean",
        "kubeContext": "",
        "registry": "",
        "region": "nyc3",
        "kubernetesVersion": "1.34.1-do.0",
    },
    of_platform=("kubernetesVersion", "region"),
    computed={
        "digitalocean:index/kubernetesCluster:KubernetesCluster": {
            "endpoint": "https://cluster.example",
            "kubeConfigs": [
                {"clusterCaCertificate": "Y2E=", "token": "state-token", "host": "https://cluster.example"}
            ],
        },
        "digitalocean:index/containerRegistry:ContainerRegistry": {
            "endpoint": "registry.digitalocean.com/addressbook-test"
        },
        PULL_CREDENTIALS: {"dockerCredentials": PULL_CONFIG},
        "digitalocean:index/databaseCluster:DatabaseCluster": {
            "privateHost": "private-db.example",
            "port": 25060,
            "user": "doadmin",
            "password": "admin-password",
        },
        DATABASE_USER: {"password": "user-password"},
        "random:index/randomId:RandomId": {"hex": "workers-0a1b2c"},
    },
    functions={
        "digitalocean:index/getDatabaseCa:getDatabaseCa": lambda args: {
            "certificate": AUTHORITY,
            "clusterId": args["clusterId"],
            "id": "ca",
        },
        "digitalocean:index/getContainerRegistry:getContainerRegistry": lambda args: {
            "name": args["name"],
            "endpoint": f"registry.digitalocean.com/{args['name']}",
        },
    },
    command="doctl",
    sign_in=_sign_in,
    sign_out=lambda _, monkeypatch: monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN"),
    missing=("kubernetesVersion", "credentials", "doctl"),
    access=Access(
        cluster="cluster-id",
        kubeconfig_command="doctl kubernetes cluster kubeconfig exec-credential --version=v1beta1 cluster-id",
        repository="registry.digitalocean.com/addressbook-test/addressbook",
        push={"server": "registry.digitalocean.com", "username": "robot", "password": "push-token"},
    ),
    outputs={
        "clusterName": "addressbook-test",
        "clusterEndpoint": "https://cluster.example",
        "databaseHost": "private-db.example",
        "databasePassword": "user-password",
        "registryUrl": "registry.digitalocean.com/addressbook-test",
        "url": "http://203.0.113.7",
    },
    secrets=frozenset({"admin-password", "user-password", "push-token", PULL_CONFIG}),
    kept_back=frozenset({"state-token", AUTH}),
    protected=frozenset({"KubernetesCluster", "ContainerRegistry", "DatabaseCluster", "DatabaseDb", "Service"}),
    # The certificate and the registry's address depend on the stack, so no function is called.
    first_preview=FirstPreview(unknown=(("KubernetesCluster", "vpcUuid"),), outputs=frozenset({"clusterName"})),
    release_resources=(PULL_CREDENTIALS,),
)
