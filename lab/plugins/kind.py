"""A resource type of a simulated cloud; each cloud derives its own from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from lab.plugins.account import Account, Record
from lab.plugins.difference import Path
from lab.plugins.engine import Engine
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import InputRules, Rule
from lab.plugins.sdk import ResourceSchema, resource_schema


class ApiError(Exception):
    """The cloud's API refuses a request; the message is worded as the API words it."""


class Kind:
    """A resource type. The SDK declares its properties; a subclass adds rules, and creates what stands behind it.

    Mappings from a type to an input path name the input that holds an id: ``{"RouteTable": "routes.gatewayId"}``.
    """

    package: ClassVar[str]
    """The SDK's Python package."""
    module: ClassVar[str] = "index"
    """The SDK's module: ``eks`` in ``aws:eks/cluster:Cluster``."""
    title: ClassVar[str]
    """What people call it: "Kubernetes cluster"."""
    name_property: ClassVar[str] = "name"
    """The input that holds its name in the account."""
    common_rules: ClassVar[Mapping[str, Rule]] = {}
    """Rules for inputs that several of the cloud's types have."""
    rules: ClassVar[Mapping[str, Rule]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    """Inputs that the SDK leaves optional and the provider, or the simulation, requires."""
    not_simulated: ClassVar[tuple[str, ...]] = ()
    """Inputs that are refused, because the simulation cannot reproduce their effect."""
    replaces: ClassVar[tuple[str, ...]] = ()
    """Paths of inputs whose change replaces the resource."""
    defaults: ClassVar[Mapping[str, Value]] = {}
    """Outputs that repeat an input, with the value for an unset input."""
    filled_by_bridge: ClassVar[tuple[str, ...]] = ()
    """Keys of `defaults` that the provider's schema declares, so that the bridge adds them to the inputs."""
    filled_in: ClassVar[tuple[str, ...]] = ()
    """Inputs that the provider completes, so that a preview does not know the output."""
    reported: ClassVar[tuple[str, ...]] = ()
    """Inputs whose value the cloud can change, so that a refresh and a comparison take the output's."""
    write_only: ClassVar[frozenset[str]] = frozenset()
    """Inputs that the API never returns, such as passwords, so an import has none."""
    secret_outputs: ClassVar[frozenset[str]] = frozenset()
    """Outputs with a secret inside, which make the whole output secret; the SDK names only those that are secrets."""
    references: ClassVar[Mapping[str, str]] = {}
    """Input paths that name another resource, and its type."""
    used_by: ClassVar[Mapping[str, str]] = {}
    """Types that block a deletion while one of them refers to this resource, and the input that does."""
    in_use: ClassVar[str] = "400 {title} {id} is in use by {users}"
    """The API's answer to a blocked deletion."""
    deleted_with: ClassVar[Mapping[str, str]] = {}
    """Types that disappear together with the resource they refer to, and the input that does."""
    autonamed: ClassVar[bool] = True
    unique_name: ClassVar[bool] = True
    """Whether the account accepts a name only once."""
    deleted_first: ClassVar[bool] = False
    """Whether the provider always deletes it before it creates its replacement."""
    unique_id: ClassVar[bool] = True
    """Whether two resources cannot have the same id."""
    kept_on_timeout: ClassVar[bool] = False
    """Whether the official provider keeps the id when waiting times out. If it does, the resource is in the state and
    the next `up` updates it (pulumi-terraform-bridge, provider.go: Create returns ErrorResourceInitFailed when there is
    an id). If not, only the account has it, as with digitalocean/resource_{kubernetes,database}_cluster.go.
    """

    def __init__(self, account: Account, engine: Engine) -> None:
        self.account = account
        self.engine = engine

    @property
    def type(self) -> str:
        """The short type, the class's name."""
        return type(self).__name__

    @property
    def schema(self) -> ResourceSchema:
        """The type as the SDK declares it."""
        return resource_schema(self.package, self.module, self.type)

    def failures(self, inputs: Properties) -> list[Failure]:
        """Return everything wrong with single inputs; `invalid` compares them with each other."""
        rules = {**self.common_rules, **self.rules}
        refused = [Failure(name, "is not simulated.") for name in self.not_simulated if inputs.get(name) is not None]
        return InputRules(self.schema.inputs, rules, self.required).failures(inputs) + refused

    def previewed(self, inputs: Properties, unknown: Value) -> Properties:
        """Return the outputs that a preview shows: known inputs, and `unknown` for what the provider determines."""
        determined = (self.schema.outputs - self.schema.inputs.keys()) | self.defaults.keys()
        return {**dict.fromkeys(determined, unknown), **inputs, **dict.fromkeys(self.filled_in, unknown)}

    def with_defaults(self, inputs: Properties) -> Properties:
        """Return the outputs that repeat inputs."""
        return {name: default if inputs.get(name) is None else inputs[name] for name, default in self.defaults.items()}

    def new_id(self, inputs: Properties) -> str:
        """Return the id of a new resource."""
        del inputs
        return str(uuid.uuid4())

    def find(self, id: str) -> Record | None:
        """Return the resource with this id, or with another id by which it can be imported."""
        return self.account.get(self.type, id)

    def import_id(self, record: Record) -> str:
        """Return the id that the provider documents for an import."""
        return record.id

    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether a new resource cannot exist beside an existing one; by default, whether they share a name."""
        name = inputs.get(self.name_property)
        return self.unique_name and bool(name) and name == existing.inputs.get(self.name_property)

    def invalid(self, inputs: Properties) -> list[Failure]:
        """Return conflicts between individually valid inputs. No input is unknown here."""
        del inputs
        return []

    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        """Return changed paths that replace the resource because of their new value."""
        del old, new
        return set()

    def check_dependencies(self, inputs: Properties) -> None:
        """Raise ApiError unless everything that the inputs refer to exists and fits, before a create or update."""
        for path, kind in self.references.items():
            for id in values_at(inputs, path):
                self.existing(kind, id)

    def create(self, id: str, inputs: Properties) -> Properties:
        """Create what is real behind the resource; return the outputs that the cloud determines. Raises ApiError."""
        del id, inputs
        return {}

    def update(self, record: Record, new: Properties) -> Properties:
        """Update it to the new inputs; return the outputs that change. Raises ApiError."""
        del record, new
        return {}

    def refresh(self, record: Record) -> Properties:
        """Return the outputs that have changed by themselves. Raises ApiError."""
        del record
        return {}

    def check_unused(self, record: Record) -> None:
        """Raise ApiError while another resource uses this one."""
        users = [
            f"{each.type} {each.inputs.get('name') or each.id}"
            for kind, path in self.used_by.items()
            for each in self.account.records(kind)
            if self.referred_to_as(record) in map(self.plain_id, values_at(each.inputs, path))
        ]
        if users:
            raise ApiError(self.in_use.format(title=self.title, id=record.id, users=", ".join(users)))

    def delete(self, record: Record) -> None:
        """Delete what is real behind the resource. Raises ApiError if the cloud would refuse."""
        self.discard(record)

    def discard(self, record: Record) -> None:
        """Remove what is real behind the resource, whatever the cloud would say."""
        del record

    def remove_dependents(self, id: str) -> None:
        """Remove from the account what disappears with this resource."""
        for kind, path in self.deleted_with.items():
            for each in self.account.records(kind):
                if id in values_at(each.inputs, path):
                    self.account.remove(kind, each.id)

    def referred_to_as(self, record: Record) -> str:
        """Return what other resources' inputs call this one."""
        return record.id

    def plain_id(self, reference: str) -> str:
        """Return the id in a reference."""
        return reference

    def existing(self, kind: str, id: str) -> Record:
        """Return another resource that this one refers to. Raises ApiError if the account does not have it."""
        found = self.account.get(kind, self.plain_id(id))
        if found is None:
            raise ApiError(f"404 the account has no {kind} {id!r}")
        return found


def values_at(value: Any, path: str) -> list[str]:
    """Return the strings at a property path without list indexes, such as ``routes.gatewayId``."""
    if isinstance(value, list):
        return [found for each in value for found in values_at(each, path)]
    if isinstance(value, dict):
        name, _, rest = path.partition(".")
        return values_at(value.get(name), rest)
    return [value] if value and not path else []
