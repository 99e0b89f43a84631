"""Kubernetes clusters: the lab's own Kubernetes stands behind every one of them."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.difference import Path
from lab.plugins.digitalocean.kind import DAYS, DNS_NAME, SIZE, TIME, DigitalOceanKind, tag_failures
from lab.plugins.digitalocean.upgrading import Upgrading
from lab.plugins.digitalocean.versions import OFFERED, numbers, upgrades
from lab.plugins.exec_credential import kubeconfig
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of
from lab.plugins.times import go_time, has_passed, timestamp

DEFAULT_EXPIRY_SECONDS = 7 * 24 * 3600
POLICY: Properties = {"day": "any", "startTime": "00:00", "duration": "4h0m0s"}


def pool_failures(pool: Properties, path: str = "") -> list[Failure]:
    """Return the errors in a pool's numbers and tags."""
    found = tag_failures(pool.get("tags"), f"{path}tags")
    if pool.get("autoScale"):
        lowest, highest = pool.get("minNodes", 0), pool.get("maxNodes", 0)
        if not 1 <= lowest <= highest:
            found.append(Failure(f"{path}minNodes", f"is {lowest}, and must be from 1 to maxNodes ({highest})."))
    elif pool.get("nodeCount", 0) < 1:
        found.append(Failure(f"{path}nodeCount", "is required and must be 1 or more, unless autoScale is on."))
    return found


def pool_state(pool: Properties, old_nodes: list[Properties]) -> Properties:
    """Return a pool's nodes as the API lists them, keeping old ones. A pool that autoscales stays at its minimum."""
    count = pool.get("minNodes", 1) if pool.get("autoScale") else pool.get("nodeCount", 1)
    nodes = old_nodes[:count]
    for _ in range(count - len(nodes)):
        nodes.append(
            {
                "id": str(uuid.uuid4()),
                "name": f"{pool['name']}-{secrets.token_hex(3)}",
                "status": "running",
                "dropletId": str(400_000_000 + secrets.randbelow(99_999_999)),
                "createdAt": go_time(),
                "updatedAt": go_time(),
            }
        )
    return {"actualNodeCount": len(nodes), "nodes": nodes}


class KubernetesCluster(Upgrading):
    """A cluster with its base pool."""

    title = "Kubernetes cluster"
    settled = "running"
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": DNS_NAME,
        "version": matches(r"[0-9]+\.[0-9]+\.[0-9]+-do\.[0-9]+", "a version slug, such as 1.34.1-do.0"),
        "nodePool.name": DNS_NAME,
        "nodePool.size": SIZE,
        "maintenancePolicy.day": one_of(*DAYS, "any"),
        "maintenancePolicy.startTime": matches(TIME, "a time of day, HH:MM"),
    }
    replaces = ("region", "vpcUuid", "clusterSubnet", "serviceSubnet", "nodePool.size")
    filled_in = ("maintenancePolicy", "nodePool")
    references: ClassVar[Mapping[str, str]] = {"vpcUuid": "Vpc"}
    deleted_with: ClassVar[Mapping[str, str]] = {"KubernetesNodePool": "clusterId"}

    @override
    def offered(self, version: str) -> list[str]:
        return upgrades(version)

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return [*pool_failures(inputs["nodePool"], "nodePool."), *tag_failures(inputs.get("tags"))]

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        return {("version",)} if numbers(str(new.get("version"))) < numbers(str(old.get("version"))) else set()

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        if inputs.get("vpcUuid"):
            network = self.existing("Vpc", inputs["vpcUuid"])
            if network.inputs["region"] != inputs["region"]:
                raise ApiError(f"422 the VPC is in {network.inputs['region']}, the cluster in {inputs['region']}")
        if inputs.get("registryIntegration") and not self.account.records("ContainerRegistry"):
            raise ApiError("404 registry integration: the account has no container registry")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        if inputs["version"] not in OFFERED:
            raise ApiError(f"422 invalid version slug {inputs['version']}; on offer: {', '.join(OFFERED)}")
        self.engine.info(
            f"simulated: DOKS {inputs['version']} with its node pools is the lab's Kubernetes, which has one node"
        )
        return {
            **self._state(inputs, {}),
            "clusterUrn": f"do:kubernetes:{id}",
            "createdAt": go_time(),
            "endpoint": self.account.lab.api_url,
            "ipv4Address": self.account.lab.node_address,
            "kubeConfigs": self.credentials(inputs),
            "status": self.settled,
            "version": inputs["version"],
        }

    def _state(self, inputs: Properties, old_pool: Properties) -> Properties:
        pool = inputs["nodePool"]
        own = {"autoScale": False, **pool, "id": old_pool.get("id") or str(uuid.uuid4())}
        return {
            "nodePool": {**own, **pool_state(pool, old_pool.get("nodes", []))},
            "maintenancePolicy": {**POLICY, **inputs.get("maintenancePolicy", {})},
            "updatedAt": go_time(),
        }

    def credentials(self, inputs: Properties) -> list[Properties]:
        """Return what the provider keeps in the state. The lab does not accept this token."""
        lab_config = kubeconfig(self.account.lab)
        cluster = lab_config["clusters"][0]["cluster"]
        token = f"dop_v1_{secrets.token_hex(32)}"
        seconds = inputs.get("kubeconfigExpireSeconds") or DEFAULT_EXPIRY_SECONDS
        return [
            {
                "host": cluster["server"],
                "clusterCaCertificate": cluster["certificate-authority-data"],
                "token": token,
                "expiresAt": timestamp(timedelta(seconds=seconds)),
                "rawConfig": json.dumps({**lab_config, "users": [{"name": "admin", "user": {"token": token}}]}),
                "clientCertificate": "",
                "clientKey": "",
            }
        ]

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        if record.inputs.get("ha") and not new.get("ha"):
            raise ApiError("422 high availability can't be switched off again")
        return {**self._state(new, record.outputs["nodePool"]), **self.begin_upgrade(record, new)}

    @override
    def refresh(self, record: Record) -> Properties:
        (credentials,) = record.outputs["kubeConfigs"]
        renewed = {"kubeConfigs": self.credentials(record.inputs)} if has_passed(credentials["expiresAt"]) else {}
        return {**renewed, **self.upgraded(record)}


class KubernetesNodePool(DigitalOceanKind):
    """An additional pool of a cluster."""

    title = "Kubernetes node pool"
    rules: ClassVar[Mapping[str, Rule]] = {"name": DNS_NAME, "size": SIZE}
    replaces = ("clusterId", "size")
    defaults: ClassVar[Mapping[str, Value]] = {"autoScale": False}
    filled_by_bridge = ("autoScale",)
    references: ClassVar[Mapping[str, str]] = {"clusterId": "KubernetesCluster"}

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        # An assumption: the API's documentation does not say whether a cluster accepts a pool's name twice.
        return super().conflicts(inputs, existing) and inputs["clusterId"] == existing.inputs["clusterId"]

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return pool_failures(inputs)

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return pool_state(inputs, [])

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        return pool_state(new, record.outputs["nodes"])
