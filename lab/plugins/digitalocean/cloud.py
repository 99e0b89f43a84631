"""The simulated provider `digitalocean` 4.84.1: its types, its functions, and its credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.digitalocean.databases import DatabaseCluster, DatabaseDb, DatabaseFirewall, DatabaseUser
from lab.plugins.digitalocean.entrance import Certificate, DnsRecord
from lab.plugins.digitalocean.kind import TOKEN_VARIABLES
from lab.plugins.digitalocean.kubernetes import KubernetesCluster, KubernetesNodePool
from lab.plugins.digitalocean.network import Vpc
from lab.plugins.digitalocean.registry import ContainerRegistry, ContainerRegistryDockerCredentials
from lab.plugins.kind import ApiError, Kind
from lab.plugins.properties import Properties
from lab.plugins.simulated import Function, SimulatedCloud

KINDS: tuple[type[Kind], ...] = (
    Vpc, KubernetesCluster, KubernetesNodePool, ContainerRegistry, ContainerRegistryDockerCredentials,
    DatabaseCluster, DatabaseDb, DatabaseUser, DatabaseFirewall, Certificate, DnsRecord,
)  # fmt: skip


class DigitalOcean(SimulatedCloud):
    """What `components/digitalocean` needs of DigitalOcean."""

    name = "digitalocean"
    version = "4.84.1"
    title = "DigitalOcean"
    kinds = KINDS

    @override
    def missing_credentials(self) -> str:
        if self.configuration.get("token") or any(os.environ.get(name) for name in TOKEN_VARIABLES):
            return ""
        return "401 there is no API token; export DIGITALOCEAN_ACCESS_TOKEN or set digitalocean:token in the config"

    def _database_ca(self, given: Properties) -> Properties:
        databases = DatabaseCluster(self.account, self.engine)
        authority = databases.server(databases.existing(databases.type, given["clusterId"])).authority
        return {"id": given["clusterId"], "certificate": authority.certificate.read_text(encoding="utf-8")}

    def _database_user(self, given: Properties) -> Properties:
        user = DatabaseUser(self.account, self.engine)
        record = user.existing(user.type, user.new_id(given))
        unset = {"accessCert": "", "accessKey": "", "mysqlAuthPlugin": "", "settings": []}
        return {"id": record.id, **unset, **record.inputs, **record.outputs}

    def _cluster(self, given: Properties) -> Properties:
        """Answer as the provider does, which finds a cluster by its name and gets new credentials for it."""
        found = self.account.records("KubernetesCluster", name=given["name"])
        if not found:
            raise ApiError(f"Unable to find cluster with name: {given['name']}")
        (record,) = found
        credentials = KubernetesCluster(self.account, self.engine).credentials(given)
        return {"id": record.id, **record.inputs, **record.outputs, "kubeConfigs": credentials}

    def _registry(self, given: Properties) -> Properties:
        record = ContainerRegistry(self.account, self.engine).existing("ContainerRegistry", given["name"])
        return {"id": record.id, **record.inputs, **record.outputs}

    functions: ClassVar[Mapping[str, Function]] = {
        "digitalocean:index/getDatabaseCa:getDatabaseCa": _database_ca,
        "digitalocean:index/getContainerRegistry:getContainerRegistry": _registry,
        "digitalocean:index/getDatabaseUser:getDatabaseUser": _database_user,
        "digitalocean:index/getKubernetesCluster:getKubernetesCluster": _cluster,
    }
