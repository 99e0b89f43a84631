"""A simulated DigitalOcean account, and what is specific to DigitalOcean."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.unit.components.simulated import Access, FirstPreview, SimulatedCloud

AUTHORITY = "-----BEGIN CERTIFICATE-----\nof the account\n-----END CERTIFICATE-----\n"
AUTH = base64.b64encode(b"robot:push-token").decode()
DATABASE_USER = "digitalocean:index/databaseUser:DatabaseUser"
PUSH_CREDENTIALS = "digitalocean:index/containerRegistryDockerCredentials:ContainerRegistryDockerCredentials"


def _token(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "of-a-test")
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)


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
        PUSH_CREDENTIALS: {"dockerCredentials": json.dumps({"auths": {"registry.digitalocean.com": {"auth": AUTH}}})},
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
    sign_in=_token,
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
    secrets=frozenset({"admin-password", "user-password", "push-token"}),
    kept_back=frozenset({"state-token", AUTH}),
    protected=frozenset({"KubernetesCluster", "ContainerRegistry", "DatabaseCluster", "DatabaseDb", "Service"}),
    # The certificate and the registry's address depend on the stack, so no function is called.
    first_preview=FirstPreview(unknown=(("KubernetesCluster", "vpcUuid"),), outputs=frozenset({"clusterName"})),
    release_resources=(PUSH_CREDENTIALS,),
)
