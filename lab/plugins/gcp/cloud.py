"""The simulated provider `gcp` 10.2.0: its types, its functions, and its credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.gcp.account_roles import IAMMember as AccountIAMMember
from lab.plugins.gcp.certificates import Certificate, CertificateMap, CertificateMapEntry, DnsAuthorization
from lab.plugins.gcp.credentials import credentials_problem
from lab.plugins.gcp.dns import ManagedZone, RecordSet
from lab.plugins.gcp.functions import FUNCTIONS
from lab.plugins.gcp.kind import GoogleKind
from lab.plugins.gcp.kubernetes import Cluster
from lab.plugins.gcp.network import Network, Router, RouterNat, Subnetwork
from lab.plugins.gcp.peering import Address, Connection, GlobalAddress
from lab.plugins.gcp.projects import Account, IAMMember, Service
from lab.plugins.gcp.registry import Repository, RepositoryIamMember
from lab.plugins.gcp.sql import Database, DatabaseInstance, User
from lab.plugins.kind import Kind
from lab.plugins.properties import Properties
from lab.plugins.provider import Resource
from lab.plugins.simulated import Function, SimulatedCloud

KINDS: tuple[type[Kind], ...] = (
    Service, IAMMember, Account, AccountIAMMember, Network, Subnetwork, Router, RouterNat, Address, GlobalAddress,
    Connection, Repository, RepositoryIamMember, Cluster, DatabaseInstance, Database, User, ManagedZone, RecordSet,
    DnsAuthorization, Certificate, CertificateMap, CertificateMapEntry,
)  # fmt: skip


class GoogleCloud(SimulatedCloud):
    """What `components/gcp` needs of Google Cloud."""

    name = "gcp"
    version = "10.2.0"
    title = "Google Cloud"
    kinds = KINDS

    @override
    def configure(self, configuration: Properties) -> None:
        super().configure(configuration)
        for kind in self._tokens.values():
            if isinstance(kind, GoogleKind):
                kind.default_project = str(configuration.get("project") or "")

    @override
    def missing_credentials(self) -> str:
        problem = credentials_problem()
        return f"401 {problem}" if problem else ""

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Delete the resource, unless its policy is ABANDON: then the provider forgets it and the account keeps it."""
        if inputs.get("deletionPolicy") != "ABANDON":
            super().delete(resource, inputs, outputs)

    functions: ClassVar[Mapping[str, Function]] = FUNCTIONS
