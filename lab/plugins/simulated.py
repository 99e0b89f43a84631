"""A cloud's provider plugin, simulated: the types that the program declares, in an account that the lab keeps.

Nothing outside this machine is asked or changed. Inputs are checked as SDK and documentation say; a create that the
cloud would refuse is refused; what is made stays in the account until it is deleted, whatever becomes of the engine.
A kind may make something real behind its resource (a database server, say).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.layout import Lab
from lab.plugins.account import Account, Record, injected
from lab.plugins.declared import Property, failures, replacing
from lab.plugins.difference import Difference, Path, difference
from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN, Properties, Secret, contains_unknown, plain
from lab.plugins.provider import Checked, Created, Failure, Provider, ProviderError, Read, Resource


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


class SimulatedCloud(Provider):
    """A provider plugin over an account. A subclass names the cloud and its kinds."""

    title: ClassVar[str]
    kinds: ClassVar[tuple[type[Kind], ...]]
    supports_autonaming = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.account = Account(Lab.from_environment(), self.name)
        self._kinds = {kind.__name__: kind(self.account, engine) for kind in self.kinds}
        self._tokens = {self.token(kind): kind for kind in self._kinds.values()}

    def token(self, kind: Kind) -> str:
        """The type as the engine writes it."""
        return f"{self.name}:{kind.module}/{kind.type[0].lower()}{kind.type[1:]}:{kind.type}"

    def authenticate(self) -> None:
        """Whether the credentials are there. Raises Refused."""

    @override
    def configure(self, configuration: Properties) -> None:
        super().configure(configuration)
        self.engine.info(f"simulated: {self.title} is played by the lab; nothing is bought, no account is touched")

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        kind = self._kind(resource)
        inputs, name = dict(new), kind.name_property
        if kind.autonamed and inputs.get(name) is None:
            if resource.must_be_named:
                return Checked(inputs, [Failure(name, "is required: autonaming is off for this stack.")])
            digits = resource.random_seed.hex()[:7]
            inputs[name] = old.get(name) or resource.proposed_name or f"{resource.name}-{digits}"
            inputs["__defaults"] = [name]
        found = failures(kind.properties, inputs)
        if not found and not contains_unknown(inputs):
            found = kind.invalid(plain(inputs))
        return Checked(inputs, found)

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        kind = self._kind(resource)
        changes = difference(
            old_inputs, new, replace_on=replacing(kind.properties), ignore=["__defaults", *resource.ignored]
        )
        changes.replace |= kind.replacing(plain(old_inputs), plain(new)) & changes.paths.keys()
        # A name can't be had twice at a time, unless the next one has another.
        same = plain(old_inputs).get(kind.name_property) == plain(new).get(kind.name_property)
        changes.delete_before_replace = bool(changes.replace) and kind.unique_name and same and "__defaults" not in new
        return changes

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        kind = self._kind(resource)
        if resource.preview:
            return Created("", {**inputs, **dict.fromkeys(kind.computed, UNKNOWN)})
        given: Properties = plain(inputs)
        doing = f"creating the {kind.title} {given.get(kind.name_property, '')!r}".replace(" ''", "")
        try:
            record = self._reserve(kind, given)
        except Refused as fault:
            raise self._error(doing, fault) from None
        try:
            record.outputs, record.made = kind.make(record.id, given), True
        except Exception as fault:
            self.account.remove(kind.type, record.id)
            raise (self._error(doing, fault) if isinstance(fault, Refused) else fault) from None
        self.account.put(record)
        if injected(kind.type) == "timeout":
            raise self._error(
                doing,
                Refused(
                    f"timeout while waiting for it to be ready; it exists in the account all the same, id {record.id}:"
                    f" `pulumi import {resource.type} {resource.name} {record.id}` takes it over, or delete it there"
                ),
            )
        return Created(record.id, self._outputs(kind, inputs, record.outputs))

    def _reserve(self, kind: Kind, given: Properties) -> Record:
        """A record from the start: what the engine's end interrupts is in the account, as it would be in a cloud."""
        self._authenticated()
        fault = injected(kind.type)
        if fault == "quota":
            raise Refused(
                f"403 the account's limit is reached; delete a {kind.title}, or ask support for a higher limit"
            )
        with self.account.open() as records:
            taken = [each for each in records.values() if each.type == kind.type and kind.clashes(given, each)]
            if taken or fault == "name-taken":
                raise Refused(f"409 the name is taken: {self._owner(kind, taken)}")
            record = Record(kind.type, kind.identify(given), given, {})
            if kind.unique_id and (there := records.get(f"{record.type}/{record.id}")):
                raise Refused(f"409 the name is taken: {self._owner(kind, [there])}")
            records[f"{record.type}/{record.id}"] = record
        return record

    def _owner(self, kind: Kind, taken: list[Record]) -> str:
        if not taken:
            return "somebody else has it; choose another, or another name for the stack"
        return (
            f"the account has one, id {taken[0].id}; if an `up` that was interrupted made it,"
            f" `pulumi import {self.token(kind)} NAME {taken[0].id}` takes it over"
        )

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        kind = self._kind(resource)
        try:
            self._authenticated()
        except Refused as fault:
            raise self._error(f"reading the {kind.title}", fault) from None
        record = kind.find(resource.id)
        if record is None:
            return None
        try:
            # One whose making was interrupted: a cloud would have finished it meanwhile.
            changed = kind.look(record) if record.made else kind.make(record.id, record.inputs)
        except Refused as fault:
            raise self._error(f"reading the {kind.title}", fault) from None
        if changed or not record.made:
            record.outputs |= changed
            record.made = True
            self.account.put(record)
        known = {key: value for key, value in record.inputs.items() if key not in kind.write_only}
        known |= {key: plain(value) for key, value in inputs.items() if key in kind.write_only}
        return Read(record.id, self._outputs(kind, known, record.outputs), self._marked(kind, known))

    @override
    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        kind = self._kind(resource)
        if resource.preview:
            return {**old_outputs, **new}
        try:
            self._authenticated()
            record = kind.existing(kind.type, resource.id)
            record.outputs |= kind.change(record, plain(new))
        except Refused as fault:
            raise self._error(f"changing the {kind.title}", fault) from None
        record.inputs = plain(new)
        self.account.put(record)
        return self._outputs(kind, new, record.outputs)

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        kind = self._kind(resource)
        try:
            self._authenticated()
            record = self.account.get(kind.type, resource.id)
            if record is not None:
                kind.unmake(record)
        except Refused as fault:
            raise self._error(f"deleting the {kind.title}", fault) from None
        self.account.remove(kind.type, resource.id)

    @override
    def schema(self) -> str:
        return json.dumps({"name": self.name, "version": self.version})

    def _authenticated(self) -> None:
        if injected("") == "expired":
            raise Refused("401 the credentials have expired or were revoked; log in again and repeat the command")
        self.authenticate()

    def _outputs(self, kind: Kind, inputs: Properties, computed: Properties) -> Properties:
        # What begins so is the engine's own in inputs, and in outputs the account's.
        outputs = {key: value for key, value in (inputs | computed).items() if not key.startswith("__")}
        return self._marked(kind, outputs)

    def _marked(self, kind: Kind, values: Properties) -> Properties:
        return {key: Secret(value) if key in kind.secret else value for key, value in values.items()}

    def _kind(self, resource: Resource) -> Kind:
        kind = self._tokens.get(resource.type)
        if kind is None:
            raise ProviderError(
                f"the simulated {self.title} has no {resource.type}; it has {', '.join(sorted(self._kinds))}."
            )
        return kind

    def _error(self, doing: str, fault: Exception) -> ProviderError:
        return ProviderError(f"{doing}: {fault} (simulated {self.title})")
