"""A simulated Google Cloud project, and what is specific to Google Cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.components.graphs import cloud_resources, short
from tests.unit.components.simulated import Access, FirstPreview, SimulatedCloud

ROOT_CA = "-----BEGIN CERTIFICATE-----\nroot of the shared authority\n-----END CERTIFICATE-----"
NEXT_CA = "-----BEGIN CERTIFICATE-----\nadded, not used yet\n-----END CERTIFICATE-----"
HOST = "0123abcd.4567efgh.us-central1.sql-psa.goog"
ACCESS_TOKEN = "ya29.of-the-caller"
CLIENT_CONFIG = "gcp:organizations/getClientConfig:getClientConfig"
PROJECT_OF = "gcp:organizations/getProject:getProject"
REGIONS = "gcp:compute/getRegions:getRegions"
#: Functions that an `up` asks only to see whether their APIs answer.
LISTS = (
    "gcp:container/getEngineVersions:getEngineVersions",
    "gcp:artifactregistry/getLocations:getLocations",
    "gcp:sql/getTiers:getTiers",
    "gcp:servicenetworking/getPeeredDnsDomain:getPeeredDnsDomain",
    "gcp:dns/getManagedZones:getManagedZones",
    "gcp:serviceaccount/getS:getS",
    "gcp:certificatemanager/getCertificates:getCertificates",
)
CA_CERTS = "gcp:sql/getCaCerts:getCaCerts"
RANDOM_ID = "random:index/randomId:RandomId"
REGISTRY = "us-central1-docker.pkg.dev/acme-prod-1/addressbook-test"
LABELS = {"pulumi-project": "addressbook", "pulumi-stack": "test"}


def _credentials(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (commands / "credentials.json").write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(commands / "credentials.json"))
    gcloud = commands / "gcloud"
    gcloud.write_text("#!/bin/sh\necho '{\"quotas\": []}'\n")
    gcloud.chmod(0o755)
    monkeypatch.delenv("GCE_METADATA_HOST", raising=False)


def google(graph: Any, kind: str) -> Any:
    """Return the only Google Cloud resource of that kind."""
    (resource,) = [each for each in cloud_resources(graph, "gcp") if short(each) == kind]
    return resource


GCP = SimulatedCloud(
    name="gcp",
    config={
        "cloud": "gcp",
        "gcp:project": "acme-prod-1",
        "kubeContext": "",
        "registry": "",
        "region": "us-central1",
        "kubernetesVersion": "1.34",
    },
    of_platform=("kubernetesVersion", "region"),
    computed={
        "gcp:container/cluster:Cluster": {
            "name": "addressbook-test-1a2b3c4",
            "endpoint": "203.0.113.9",
            "masterAuth": {"clusterCaCertificate": "Y2E=", "clientKey": "", "clientCertificate": ""},
        },
        "gcp:artifactregistry/repository:Repository": {"name": "addressbook-test", "registryUri": REGISTRY},
        "gcp:serviceaccount/account:Account": {
            "email": "nodes@acme-prod-1.iam.gserviceaccount.com",
            "member": "serviceAccount:nodes@acme-prod-1.iam.gserviceaccount.com",
        },
        "gcp:sql/databaseInstance:DatabaseInstance": {
            "name": "addressbook-test-5d6e7f8",
            "privateIpAddress": "10.64.32.3",
            "dnsNames": [
                {
                    "name": "primary.global.sql-psa.goog.",
                    "connectionType": "PRIVATE_SERVICES_ACCESS",
                    "dnsScope": "CLUSTER",
                },
                {"name": f"{HOST}.", "connectionType": "PRIVATE_SERVICES_ACCESS", "dnsScope": "INSTANCE"},
            ],
            # The provider keeps the one that is in use.
            "serverCaCerts": [{"cert": f"{ROOT_CA}\n"}],
        },
        RANDOM_ID: {"hex": "0a1b2c"},
    },
    derived={RANDOM_ID: lambda args: {"hex": f"{args.inputs['prefix']}0a1b2c"}},
    functions={
        CLIENT_CONFIG: lambda _: {"accessToken": ACCESS_TOKEN, "project": "acme-prod-1"},
        PROJECT_OF: lambda _: {"projectId": "acme-prod-1", "billingAccount": "0A-0B-0C"},
        REGIONS: lambda _: {"names": ["europe-west1", "europe-west3", "us-central1"]},
        **dict.fromkeys(LISTS, lambda _: {}),
        CA_CERTS: lambda _: {"certs": [{"cert": ROOT_CA}]},
    },
    command="gke-gcloud-auth-plugin",
    sign_in=_credentials,
    sign_out=lambda commands, monkeypatch: (commands / "credentials.json").unlink(),
    missing=("kubernetesVersion", "credentials", "gke-gcloud-auth-plugin"),
    access=Access(
        cluster="addressbook-test-id",
        kubeconfig_command="gke-gcloud-auth-plugin --use_application_default_credentials",
        repository=f"{REGISTRY}/addressbook",
        push={"server": "us-central1-docker.pkg.dev", "username": "oauth2accesstoken", "password": ACCESS_TOKEN},
    ),
    outputs={
        "clusterName": "addressbook-test-1a2b3c4",
        "clusterEndpoint": "https://203.0.113.9",
        "databaseHost": HOST,
        "databasePassword": "password of database-user",
        "registryUrl": REGISTRY,
        "url": "http://203.0.113.7",
    },
    secrets=frozenset({"password of database-user", "password of database-administrator", ACCESS_TOKEN}),
    protected=frozenset({"Cluster", "Repository", "DatabaseInstance", "Database", "Service"}),
    first_preview=FirstPreview(
        unknown=(("Cluster", "network"), ("RecordSet", "name"), ("DatabaseInstance", "rootPassword")),
        # Neither the caller's token nor the project depends on the stack.
        calls={CLIENT_CONFIG: 1, PROJECT_OF: 1, REGIONS: 1},
    ),
)
