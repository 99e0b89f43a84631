"""A cloud's provider plugin, simulated: the types that the program declares, in an account that the lab keeps.

Nothing outside this machine is read or changed. Inputs are checked against SDK and documentation, and requests that the
cloud would refuse are refused. Resources stay in the account until they are deleted, whatever happens to the engine. A
kind may create something real behind its resource, such as a database server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from typing_extensions import override

from lab.layout import Lab
from lab.plugins.account import EXPIRED, Account, Record, credentials_expired, injected_fault
from lab.plugins.difference import Difference, difference
from lab.plugins.engine import Engine
from lab.plugins.kind import ApiError, Kind
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
from lab.plugins.sdk import function_schema

#: How the error of a create that timed out says that the resource is in the state nevertheless.
NEXT_UP_CONTINUES = "the next `pulumi up` continues with it"


#: Takes the cloud and a function's arguments, returns its results. Raises ApiError.
Function = Callable[[Any, Properties], Properties]


class SimulatedCloud(Provider):
    """A provider plugin for a simulated account. A subclass names the cloud, its kinds and its functions."""

    title: ClassVar[str]
    kinds: ClassVar[tuple[type[Kind], ...]]
    functions: ClassVar[Mapping[str, Function]]
    """Methods that answer the provider's functions, by token."""
    supports_autonaming = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.account = Account(Lab.from_environment(), self.name)
        # By token, because two modules may have a type of the same name.
        self._tokens = {self.token(kind): kind for kind in (each(self.account, engine) for each in self.kinds)}

    def token(self, kind: Kind) -> str:
        """Return the type as the engine writes it."""
        return f"{self.name}:{kind.module}/{kind.type[0].lower()}{kind.type[1:]}:{kind.type}"

    def authenticate(self) -> None:
        """Raise ApiError if the credentials are missing or expired; every request begins with this."""
        if credentials_expired():
            raise ApiError(f"401 {EXPIRED}; log in again and repeat the command")
        if reason := self.missing_credentials():
            raise ApiError(reason)

    def missing_credentials(self) -> str:
        """Return why the account refuses requests from this process, "" if it accepts them."""
        return ""

    @override
    def configure(self, configuration: Properties) -> None:
        super().configure(configuration)
        self.engine.info(f"simulated: the lab stands in for {self.title}; nothing is bought, no account is touched")

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        kind = self._kind(resource)
        inputs, name = dict(new), kind.name_property
        defaults: list[str] = []
        if kind.autonamed and inputs.get(name) is None:
            if resource.must_be_named:
                return Checked(inputs, [Failure(name, "is required: autonaming is off for this stack.")])
            digits = resource.random_seed.hex()[:7]
            inputs[name] = old.get(name) or resource.proposed_name or f"{resource.name}-{digits}"
            defaults.append(name)
        for name in kind.filled_by_bridge:
            if inputs.get(name) is None:
                # Without a list of defaults, as after a refresh, the bridge takes each old value for one, and keeps it
                # (pulumi-terraform-bridge, applyDefaults).
                keep = name in old and name in old.get("__defaults", [name])
                inputs[name] = old[name] if keep else kind.defaults[name]
                defaults.append(name)
        if defaults or kind.filled_by_bridge:
            inputs["__defaults"] = defaults
        found = kind.failures(inputs)
        if not found and not contains_unknown(inputs):
            found = kind.invalid(plain(inputs))
        return Checked(inputs, found)

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        kind = self._kind(resource)
        old = {**old_inputs, **{name: old_outputs[name] for name in kind.reported if name in old_outputs}}
        changes = difference(old, new, replace_on=kind.replaces, ignore=["__defaults", *resource.ignored])
        changes.replace |= kind.replacing(plain(old), plain(new)) & changes.paths.keys()
        # As the bridge decides: what was named explicitly is deleted first, even if the replacement has another name
        # (pulumi-terraform-bridge, nameRequiresDeleteBeforeReplace). The program's own option has precedence.
        named = kind.name_property in new and kind.name_property not in new.get("__defaults", ())
        changes.delete_before_replace = bool(changes.replace) and (kind.deleted_first or (kind.autonamed and named))
        return changes

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        kind = self._kind(resource)
        if resource.preview:
            return Created("", kind.previewed(inputs, UNKNOWN))
        given: Properties = plain(inputs)
        action = f"creating the {kind.title} {given.get(kind.name_property, '')!r}".replace(" ''", "")
        try:
            record = self._reserve(kind, given)
        except ApiError as error:
            self._fail(action, error)
        try:
            record.outputs, record.ready = self._create(kind, record.id, given), True
        except Exception as error:
            self.account.remove(kind.type, record.id)
            if isinstance(error, ApiError):
                self._fail(action, error)
            raise
        self.account.put(record)
        if injected_fault(kind.type) == "timeout":
            raise self._timed_out(kind, action, resource, record, inputs)
        return Created(record.id, self._outputs(kind, inputs, record.outputs))

    @staticmethod
    def _create(kind: Kind, id: str, inputs: Properties) -> Properties:
        kind.check_dependencies(inputs)
        return {**kind.with_defaults(inputs), **kind.create(id, inputs)}

    def _timed_out(
        self, kind: Kind, action: str, resource: Resource, record: Record, inputs: Properties
    ) -> ProviderError:
        waited = f"timeout while waiting for it to be ready; it exists in the account all the same, id {record.id}"
        if kind.kept_on_timeout:
            message = self._message(action, f"{waited}, and in the state: {NEXT_UP_CONTINUES}")
            # The computed outputs are still unknown; a later read fills them in.
            return InitializationFailed(record.id, self._outputs(kind, inputs, {}), [message])
        command = f"`pulumi import {resource.type} {resource.name} {kind.import_id(record)}`"
        return ProviderError(self._message(action, f"{waited}: {command} adopts it, or delete it there"))

    def _reserve(self, kind: Kind, given: Properties) -> Record:
        """Record the resource before it is created: as in a cloud, the account has it even if the engine is killed."""
        self.authenticate()
        fault = injected_fault(kind.type)
        if fault == "quota":
            raise ApiError(
                f"403 the account's limit is reached; delete a {kind.title}, or ask support for a higher limit"
            )
        with self.account.open() as records:
            taken = [each for each in records.values() if each.type == kind.type and kind.conflicts(given, each)]
            if taken or fault == "name-taken":
                raise ApiError(f"409 the name is taken: {self._owner(kind, taken)}")
            record = Record(kind.type, kind.new_id(given), given, {})
            if kind.unique_id and (existing := records.get(f"{record.type}/{record.id}")):
                raise ApiError(f"409 the name is taken: {self._owner(kind, [existing])}")
            records[f"{record.type}/{record.id}"] = record
        return record

    def _owner(self, kind: Kind, taken: list[Record]) -> str:
        if not taken:
            return "it belongs to another account; choose another name, for this resource or for the stack"
        return (
            f"the account has one, id {taken[0].id}; if an interrupted `up` created it,"
            f" `pulumi import {self.token(kind)} NAME {kind.import_id(taken[0])}` adopts it"
        )

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        kind = self._kind(resource)
        try:
            self.authenticate()
            record = kind.find(resource.id)
            if record is None:
                return None
            # A cloud would have finished an interrupted create meanwhile.
            changed = kind.refresh(record) if record.ready else self._create(kind, record.id, record.inputs)
        except ApiError as error:
            self._fail(f"reading the {kind.title}", error)
        if changed or not record.ready:
            record.outputs |= changed
            record.ready = True
            self.account.put(record)
        hidden = kind.write_only | ({"__defaults"} if kind.filled_by_bridge else set())
        known = {key: value for key, value in record.inputs.items() if key not in hidden}
        known |= {key: plain(value) for key, value in inputs.items() if key in kind.write_only}
        known |= {key: record.outputs[key] for key in kind.reported if key in record.outputs}
        return Read(record.id, self._outputs(kind, known, record.outputs), self._marked(kind, known))

    @override
    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        kind = self._kind(resource)
        if resource.preview:
            return {**old_outputs, **new}
        given: Properties = plain(new)
        try:
            self.authenticate()
            record = kind.existing(kind.type, resource.id)
            kind.check_dependencies(given)
            record.outputs |= {**kind.with_defaults(given), **kind.update(record, given)}
        except ApiError as error:
            self._fail(f"changing the {kind.title}", error)
        record.inputs = given
        self.account.put(record)
        return self._outputs(kind, new, record.outputs)

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        kind = self._kind(resource)
        if injected_fault(kind.type) == "undeletable":
            self._fail(f"deleting the {kind.title}", ApiError("no answer from a site that the deletion needs"))
        try:
            self.authenticate()
            record = self.account.get(kind.type, resource.id)
            if record is not None:
                kind.check_unused(record)
                kind.delete(record)
        except ApiError as error:
            self._fail(f"deleting the {kind.title}", error)
        self.account.remove(kind.type, resource.id)
        kind.remove_dependents(resource.id)

    @override
    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        if function not in self.functions:
            known = ", ".join(self.functions)
            raise ProviderError(f"the simulated {self.title} has no function {function}; it has {known}.")
        _, module, _, name = re.split("[:/]", function)
        schema = function_schema(self.kinds[0].package, module, name)
        given: Properties = plain(arguments)
        if wrong := sorted(given.keys() - schema.arguments):
            known = ", ".join(sorted(schema.arguments))
            raise ProviderError(self._message(name, f"it has no argument {wrong[0]}; it takes {known}"))
        if contains_unknown(arguments):
            return {**dict.fromkeys(schema.results, UNKNOWN), **given}
        try:
            self.authenticate()
            return {**given, **self.functions[function](self, given)}
        except ApiError as error:
            self._fail(name, error)

    def _outputs(self, kind: Kind, inputs: Properties, computed: Properties) -> Properties:
        # A leading "__" marks inputs that are the engine's own, and outputs that are the account's.
        outputs = {key: value for key, value in (inputs | computed).items() if not key.startswith("__")}
        return self._marked(kind, outputs)

    @staticmethod
    def _marked(kind: Kind, values: Properties) -> Properties:
        secret = kind.schema.secrets | kind.secret_outputs
        return {key: Secret(value) if key in secret else value for key, value in values.items()}

    def _kind(self, resource: Resource) -> Kind:
        kind = self._tokens.get(resource.type)
        if kind is None:
            raise ProviderError(
                f"the simulated {self.title} has no {resource.type}; it has {', '.join(sorted(self._tokens))}."
            )
        return kind

    def _message(self, action: str, reason: object) -> str:
        return f"{action}: {reason} (simulated {self.title})"

    def _fail(self, action: str, error: ApiError) -> NoReturn:
        raise ProviderError(self._message(action, error)) from None


def discard_all(kinds: Sequence[type[Kind]], account: Account) -> None:
    """Remove what is real behind an account's resources: servers, names, images."""
    known = {kind.__name__: kind(account, Engine()) for kind in kinds}
    for record in account.records():
        if record.type in known:
            known[record.type].discard(record)
