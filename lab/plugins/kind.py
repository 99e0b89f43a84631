"""A resource type of a simulated cloud: what a cloud's own types are derived from."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from lab.plugins.account import Account, Record
from lab.plugins.declared import Property
from lab.plugins.difference import Path
from lab.plugins.engine import Engine
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure


class Refused(Exception):
    """What the cloud's own API would answer, in its words."""


class Kind:
    """A resource type. A subclass says what it accepts and computes, and makes what is real behind it."""

    title: ClassVar[str]
    """What people call it: "Kubernetes cluster"."""
    module: ClassVar[str] = "index"
    """The part of the provider that the type is in: ``eks`` in ``aws:eks/cluster:Cluster``."""
    name_property: ClassVar[str] = "name"
    """The input that is its name in the account."""
    properties: ClassVar[Mapping[str, Property]]
    computed: ClassVar[tuple[str, ...]] = ()
    """Outputs that are no inputs."""
    secret: ClassVar[frozenset[str]] = frozenset()
    write_only: ClassVar[frozenset[str]] = frozenset()
    """Inputs that the API never gives back, such as passwords: an import lacks them."""
    autonamed: ClassVar[bool] = True
    unique_name: ClassVar[bool] = True
    """Whether the account takes a name once only."""
    unique_id: ClassVar[bool] = True
    """Whether two resources can't be the same thing in the account."""
    kept_on_timeout: ClassVar[bool] = False
    """Whether the official provider keeps the id of what it has waited for too long. Kept, the resource is in the state
    and the next `up` updates it (pulumi-terraform-bridge, provider.go: Create answers ErrorResourceInitFailed where
    there is an id). Else only the account has it, as with digitalocean/resource_{kubernetes,database}_cluster.go.
    """

    def __init__(self, account: Account, engine: Engine) -> None:
        self.account = account
        self.engine = engine

    @property
    def type(self) -> str:
        """The short type, the class's name."""
        return type(self).__name__

    def identify(self, inputs: Properties) -> str:
        """Id of a new resource."""
        del inputs
        return str(uuid.uuid4())

    def find(self, id: str) -> Record | None:
        """The one with this id, or with another id that it can be imported by."""
        return self.account.get(self.type, id)

    def import_id(self, record: Record) -> str:
        """The id that the provider documents for an import."""
        return record.id

    def clashes(self, inputs: Properties, there: Record) -> bool:
        """Whether a new one can't be beside one that is there; by default they have the same name."""
        name = inputs.get(self.name_property)
        return self.unique_name and bool(name) and name == there.inputs.get(self.name_property)

    def invalid(self, inputs: Properties) -> list[Failure]:
        """Faults between inputs that are right each by itself; all of them are known here."""
        del inputs
        return []

    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        """Changed paths that force a replacement for what they change to."""
        del old, new
        return set()

    def make(self, id: str, inputs: Properties) -> Properties:
        """Make what is real behind it; the computed outputs. Raises Refused."""
        del id, inputs
        return {}

    def change(self, record: Record, new: Properties) -> Properties:
        """Change it; the computed outputs that become others. Raises Refused."""
        del record, new
        return {}

    def look(self, record: Record) -> Properties:
        """The computed outputs that have become others by themselves."""
        del record
        return {}

    def unmake(self, record: Record) -> None:
        """Remove what is real behind it. Raises Refused."""
        del record

    def existing(self, kind: str, id: str) -> Record:
        """Another resource that this one names. Raises Refused when the account has no such."""
        found = self.account.get(kind, id)
        if found is None:
            raise Refused(f"404 the account has no {kind} {id!r}")
        return found
