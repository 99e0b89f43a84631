"""The simulated provider `digitalocean` 4.84.1: its kinds, its two functions, and how it is logged in to."""

from __future__ import annotations

import os
from typing import ClassVar

from typing_extensions import override

from lab.plugins.digitalocean.databases import DatabaseCluster, DatabaseDb, DatabaseFirewall, DatabaseUser, server
from lab.plugins.digitalocean.kubernetes import KubernetesCluster, KubernetesNodePool
from lab.plugins.digitalocean.network import Vpc
from lab.plugins.digitalocean.registry import ContainerRegistry, ContainerRegistryDockerCredentials
from lab.plugins.digitalocean.slugs import TOKEN_VARIABLES
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import UNKNOWN, Properties, contains_unknown, plain
from lab.plugins.provider import ProviderError
from lab.plugins.simulated import SimulatedCloud

FUNCTIONS = {
    "digitalocean:index/getDatabaseCa:getDatabaseCa": ("clusterId", ("certificate",)),
    "digitalocean:index/getContainerRegistry:getContainerRegistry": ("name", ContainerRegistry.outputs),
}


class DigitalOcean(SimulatedCloud):
    """What `components/digitalocean` asks of DigitalOcean."""

    name = "digitalocean"
    version = "4.84.1"
    title = "DigitalOcean"
    kinds: ClassVar[tuple[type[Kind], ...]] = (
        Vpc,
        KubernetesCluster,
        KubernetesNodePool,
        ContainerRegistry,
        ContainerRegistryDockerCredentials,
        DatabaseCluster,
        DatabaseDb,
        DatabaseUser,
        DatabaseFirewall,
    )

    @override
    def no_credentials(self) -> str:
        if self.configuration.get("token") or any(os.environ.get(name) for name in TOKEN_VARIABLES):
            return ""
        return "401 there is no API token; export DIGITALOCEAN_ACCESS_TOKEN or set digitalocean:token in the config"

    @override
    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        if function not in FUNCTIONS:
            raise ProviderError(
                f"the simulated DigitalOcean has no function {function}; it has {', '.join(FUNCTIONS)}."
            )
        argument, outputs = FUNCTIONS[function]
        value = plain(arguments).get(argument)
        if contains_unknown(arguments):
            return {argument: UNKNOWN, "id": UNKNOWN, **dict.fromkeys(outputs, UNKNOWN)}
        try:
            self.authenticate()
            return self._database_ca(value) if argument == "clusterId" else self._registry(value)
        except Refused as fault:
            raise self._error(function.rpartition(":")[2], fault) from None

    def _database_ca(self, cluster: str) -> Properties:
        record = self._kinds["DatabaseCluster"].existing("DatabaseCluster", cluster)
        certificate = server(self.account, record).authority.certificate.read_text(encoding="utf-8")
        return {"clusterId": cluster, "id": cluster, "certificate": certificate}

    def _registry(self, name: str) -> Properties:
        record = self._kinds["ContainerRegistry"].existing("ContainerRegistry", name)
        return {"id": name, "name": name, **record.inputs, **record.outputs}
