"""A cloud's provider plugin, simulated: the types that the program declares, in an account that the lab keeps.

Nothing outside this machine is asked or changed. Inputs are checked as SDK and documentation say; a create that the
cloud would refuse is refused; what is made stays in the account until it is deleted, whatever becomes of the engine.
A kind may make something real behind its resource (a database server, say).
"""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from lab.layout import Lab
from lab.plugins.account import EXPIRED, Account, Record, expired, injected
from lab.plugins.declared import failures, replacing
from lab.plugins.difference import Difference, difference
from lab.plugins.engine import Engine
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import UNKNOWN, Properties, Secret, contains_unknown, plain
from lab.plugins.provider import (
    Checked,
    Created,
    Failure,
    InitializationFailed,
    Provider,
    ProviderError,
    Read,
    Resource,
)

#: How a create that timed out says that it is in the state all the same.
GOES_ON = "the next `pulumi up` goes on with it"


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
        """What every request begins with, functions too. Raises Refused where the credentials are expired or none."""
        if expired():
            raise Refused(f"401 {EXPIRED}; log in again and repeat the command")
        if reason := self.no_credentials():
            raise Refused(reason)

    def no_credentials(self) -> str:
        """Why the account takes no request from here, "" where it does."""
        return ""

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
            raise self._timed_out(kind, doing, resource, record, inputs)
        return Created(record.id, self._outputs(kind, inputs, record.outputs))

    def _timed_out(
        self, kind: Kind, doing: str, resource: Resource, record: Record, inputs: Properties
    ) -> ProviderError:
        """The wait is over, and the account has it."""
        waited = f"timeout while waiting for it to be ready; it exists in the account all the same, id {record.id}"
        if kind.kept_on_timeout:
            error = self._error(doing, Refused(f"{waited}, and in the state: {GOES_ON}"))
            # What is computed is unknown still: it is read once it is ready.
            return InitializationFailed(record.id, self._outputs(kind, inputs, {}), [str(error)])
        command = f"`pulumi import {resource.type} {resource.name} {kind.import_id(record)}`"
        return self._error(doing, Refused(f"{waited}: {command} takes it over, or delete it there"))

    def _reserve(self, kind: Kind, given: Properties) -> Record:
        """A record from the start: what the engine's end interrupts is in the account, as it would be in a cloud."""
        self.authenticate()
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
            f" `pulumi import {self.token(kind)} NAME {kind.import_id(taken[0])}` takes it over"
        )

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        kind = self._kind(resource)
        try:
            self.authenticate()
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
            self.authenticate()
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
            self.authenticate()
            record = self.account.get(kind.type, resource.id)
            if record is not None:
                kind.unmake(record)
        except Refused as fault:
            raise self._error(f"deleting the {kind.title}", fault) from None
        self.account.remove(kind.type, resource.id)

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
