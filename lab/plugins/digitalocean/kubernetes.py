"""Kubernetes clusters: the lab's own Kubernetes answers for every one of them."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

import yaml
from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.difference import Path
from lab.plugins.digitalocean.slugs import DAYS, NODE_SIZE, REGION, TAG_PATTERN, TAGS, UUID
from lab.plugins.digitalocean.times import expired, expiry, now
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

DEFAULT_EXPIRY_SECONDS = 7 * 24 * 3600
DNS_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DNS_RULE = "lower-case letters, digits and dashes, 63 at most"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"

POOL = {
    "nodeCount": Property(int),
    "autoScale": Property(bool),
    "minNodes": Property(int),
    "maxNodes": Property(int),
    "labels": Property(dict),
    "tags": TAGS,
}


def pool_faults(pool: Properties, where: str = "") -> list[Failure]:
    """Faults of a pool's numbers and tags."""
    found = tag_faults(pool.get("tags"), f"{where}tags")
    if pool.get("autoScale"):
        fewest, most = pool.get("minNodes", 0), pool.get("maxNodes", 0)
        if not 1 <= fewest <= most:
            found.append(Failure(f"{where}minNodes", f"is {fewest}, and must be from 1 to maxNodes ({most})."))
    elif pool.get("nodeCount", 0) < 1:
        found.append(Failure(f"{where}nodeCount", "is required and must be 1 or more, unless autoScale is on."))
    return found


def tag_faults(tags: list[str] | None, where: str = "tags") -> list[Failure]:
    """Tags that the API would refuse."""
    wrong = [tag for tag in tags or [] if not re.fullmatch(TAG_PATTERN, tag)]
    return [Failure(where, f"has {tag!r}; letters, digits, colons, dashes, underscores only.") for tag in wrong]


def made_nodes(pool: str, count: int, known: list[Properties]) -> list[Properties]:
    """Nodes as the API lists them; those that are there stay."""
    nodes = known[:count]
    for _ in range(count - len(nodes)):
        nodes.append(
            {
                "id": str(uuid.uuid4()),
                "name": f"{pool}-{secrets.token_hex(3)}",
                "status": "running",
                "dropletId": str(400_000_000 + secrets.randbelow(99_999_999)),
                "createdAt": now(),
                "updatedAt": now(),
            }
        )
    return nodes


def wanted_nodes(pool: Properties) -> int:
    """How many nodes a pool has; a pool that scales by itself stays at the fewest here."""
    return pool.get("minNodes", 1) if pool.get("autoScale") else pool.get("nodeCount", 1)


class KubernetesCluster(Kind):
    """A cluster with its base pool."""

    title = "Kubernetes cluster"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, pattern=DNS_NAME, rule=DNS_RULE),
        "region": REGION,
        "version": Property(
            str, required=True, pattern=r"[0-9]+\.[0-9]+\.[0-9]+-do\.[0-9]+", rule="a version slug, such as 1.34.1-do.0"
        ),
        "nodePool": Property(
            dict,
            required=True,
            inner={
                **POOL,
                "name": Property(str, required=True, pattern=DNS_NAME, rule=DNS_RULE),
                "size": NODE_SIZE,
            },
        ),
        "vpcUuid": Property(str, replaces=True, pattern=UUID, rule="the id of a VPC (a UUID)"),
        "clusterSubnet": Property(str, replaces=True),
        "serviceSubnet": Property(str, replaces=True),
        "autoUpgrade": Property(bool),
        "surgeUpgrade": Property(bool),
        "ha": Property(bool),
        "registryIntegration": Property(bool),
        "destroyAllAssociatedResources": Property(bool),
        "kubeconfigExpireSeconds": Property(int),
        "maintenancePolicy": Property(
            dict,
            inner={
                "day": Property(str, values=DAYS | {"any"}),
                "startTime": Property(str, pattern=TIME, rule="a time of day, HH:MM"),
            },
        ),
        "tags": TAGS,
    }
    computed = (
        "clusterSubnet", "clusterUrn", "createdAt", "endpoint", "ipv4Address", "kubeConfigs", "maintenancePolicy",
        "nodePool", "serviceSubnet", "status", "updatedAt",
    )  # fmt: skip
    secret = frozenset({"kubeConfigs"})

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return [*pool_faults(inputs["nodePool"], "nodePool."), *tag_faults(inputs.get("tags"))]

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        return {("version",)} if version_of(new) < version_of(old) else set()

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._check_surroundings(inputs)
        self.engine.info(
            f"simulated: DOKS {inputs['version']} with the nodes of its pools is the lab's Kubernetes, one node"
        )
        return {
            **self._state(inputs, {}),
            "clusterSubnet": inputs.get("clusterSubnet", "10.244.0.0/16"),
            "serviceSubnet": inputs.get("serviceSubnet", "10.245.0.0/16"),
            "clusterUrn": f"do:kubernetes:{id}",
            "createdAt": now(),
            "endpoint": self.account.lab.api_url,
            "ipv4Address": self.account.lab.node_address,
            "kubeConfigs": self._credentials(inputs),
            "status": "running",
        }

    def _check_surroundings(self, inputs: Properties) -> None:
        if inputs.get("vpcUuid"):
            network = self.existing("Vpc", inputs["vpcUuid"])
            if network.inputs["region"] != inputs["region"]:
                raise Refused(f"422 the VPC is in {network.inputs['region']}, the cluster in {inputs['region']}")
        if inputs.get("registryIntegration") and not any(
            each.type == "ContainerRegistry" for each in self.account.records()
        ):
            raise Refused("404 registry integration: the account has no container registry")

    def _state(self, inputs: Properties, old_pool: Properties) -> Properties:
        pool = inputs["nodePool"]
        nodes = made_nodes(pool["name"], wanted_nodes(pool), old_pool.get("nodes", []))
        return {
            "nodePool": {
                "autoScale": False,
                **pool,
                "id": old_pool.get("id") or str(uuid.uuid4()),
                "actualNodeCount": len(nodes),
                "nodes": nodes,
            },
            "maintenancePolicy": {
                "day": "any", "startTime": "00:00", "duration": "4h0m0s", **inputs.get("maintenancePolicy", {})
            },
            "updatedAt": now(),
        }  # fmt: skip

    def _credentials(self, inputs: Properties) -> list[Properties]:
        """As the provider keeps them in the state; nothing can log in to the lab with this token."""
        lab_config: Any = yaml.safe_load(self.account.lab.kubeconfig.read_text(encoding="utf-8"))
        cluster = lab_config["clusters"][0]["cluster"]
        token = f"dop_v1_{secrets.token_hex(32)}"
        raw = {**lab_config, "users": [{"name": "admin", "user": {"token": token}}]}
        return [
            {
                "host": cluster["server"],
                "clusterCaCertificate": cluster["certificate-authority-data"],
                "token": token,
                "expiresAt": expiry(inputs.get("kubeconfigExpireSeconds") or DEFAULT_EXPIRY_SECONDS),
                "rawConfig": json.dumps(raw),
                "clientCertificate": "",
                "clientKey": "",
            }
        ]

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        if record.inputs.get("ha") and not new.get("ha"):
            raise Refused("422 high availability can't be switched off again")
        self._check_surroundings(new)
        return self._state(new, record.outputs["nodePool"])

    @override
    def look(self, record: Record) -> Properties:
        (credentials,) = record.outputs["kubeConfigs"]
        return {"kubeConfigs": self._credentials(record.inputs)} if expired(credentials["expiresAt"]) else {}

    @override
    def unmake(self, record: Record) -> None:
        pool = "KubernetesNodePool"
        self.account.remove_all(lambda each: each.type == pool and each.inputs.get("clusterId") == record.id)


class KubernetesNodePool(Kind):
    """A further pool of a cluster."""

    title = "Kubernetes node pool"
    properties: ClassVar[Mapping[str, Property]] = {
        **POOL,
        "clusterId": Property(str, required=True, replaces=True, pattern=UUID, rule="the id of a cluster (a UUID)"),
        "name": Property(str, pattern=DNS_NAME, rule=DNS_RULE),
        "size": NODE_SIZE,
        "taints": Property(list),
    }
    computed = ("actualNodeCount", "autoScale", "nodes")

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        # Assumed: whether a cluster takes a pool's name twice is not in the API's documentation.
        return super().clashes(inputs, there) and inputs["clusterId"] == there.inputs["clusterId"]

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return pool_faults(inputs)

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self.existing("KubernetesCluster", inputs["clusterId"])
        return self._state(inputs, [])

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return self._state(new, record.outputs["nodes"])

    def _state(self, inputs: Properties, known: list[Properties]) -> Properties:
        nodes = made_nodes(inputs["name"], wanted_nodes(inputs), known)
        return {"actualNodeCount": len(nodes), "autoScale": inputs.get("autoScale", False), "nodes": nodes}


def version_of(inputs: Properties) -> tuple[int, ...]:
    """A version slug's numbers, to be compared."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", str(inputs.get("version", ""))))
