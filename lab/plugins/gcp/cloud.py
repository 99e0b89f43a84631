"""The simulated provider `gcp` 10.2.0: its kinds, its one function, and how it is logged in to."""

from __future__ import annotations

import secrets
from typing import ClassVar

from typing_extensions import override

from lab.plugins.gcp.credentials import credentials_fault
from lab.plugins.gcp.dns import ManagedZone, RecordSet
from lab.plugins.gcp.kind import GoogleKind
from lab.plugins.gcp.kubernetes import Cluster
from lab.plugins.gcp.network import Network, Router, RouterNat, Subnetwork
from lab.plugins.gcp.peering import Connection, GlobalAddress
from lab.plugins.gcp.projects import Account, IAMMember, Service
from lab.plugins.gcp.registry import Repository, RepositoryIamMember
from lab.plugins.gcp.sql import DatabaseInstance
from lab.plugins.gcp.sql_contents import Database, User
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import ProviderError, Resource
from lab.plugins.simulated import SimulatedCloud

CLIENT_CONFIG = "gcp:organizations/getClientConfig:getClientConfig"


class GoogleCloud(SimulatedCloud):
    """What `components/gcp` asks of Google Cloud."""

    name = "gcp"
    version = "10.2.0"
    title = "Google Cloud"
    kinds: ClassVar[tuple[type[Kind], ...]] = (
        Service,
        IAMMember,
        Account,
        Network,
        Subnetwork,
        Router,
        RouterNat,
        GlobalAddress,
        Connection,
        Repository,
        RepositoryIamMember,
        Cluster,
        DatabaseInstance,
        Database,
        User,
        ManagedZone,
        RecordSet,
    )

    @override
    def configure(self, configuration: Properties) -> None:
        super().configure(configuration)
        for kind in self._kinds.values():
            if isinstance(kind, GoogleKind):
                kind.default_project = str(configuration.get("project") or "")

    @override
    def no_credentials(self) -> str:
        fault = credentials_fault()
        return f"401 {fault}" if fault else ""

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """With the policy ABANDON the provider forgets a resource, and the account keeps it."""
        if inputs.get("deletionPolicy") != "ABANDON":
            super().delete(resource, inputs, outputs)

    @override
    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        if function != CLIENT_CONFIG:
            raise ProviderError(f"the simulated Google Cloud has no function {function}; it has {CLIENT_CONFIG}.")
        try:
            self.authenticate()
        except Refused as fault:
            raise self._error("getClientConfig", fault) from None
        project = str(self.configuration.get("project") or "")
        return {
            "id": f'projects/"{project}"/regions/"{self.configuration.get("region") or ""}"/zones/""',
            "project": project,
            "region": str(self.configuration.get("region") or ""),
            "zone": str(self.configuration.get("zone") or ""),
            # Another one in each run, as from Google; it is valid for an hour there.
            "accessToken": f"ya29.{secrets.token_urlsafe(96)}",
            "defaultLabels": {},
        }
