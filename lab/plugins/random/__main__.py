"""What `pulumi-resource-random` runs.

Every change of an input replaces the resource, `keepers` included, and a result never changes on its own. So there is
no update, and `read` returns what is stored.
"""

from __future__ import annotations

from typing_extensions import override

from lab.plugins.difference import Difference, difference
from lab.plugins.properties import UNKNOWN, Properties, Secret, Unknown, contains_unknown, plain
from lab.plugins.provider import Checked, Created, Failure, Provider, ProviderError, Read, Resource
from lab.plugins.random.kinds import KINDS, Kind
from lab.plugins.serving import serve

INSTALL_OFFICIAL = "Install the official plugin: pulumi plugin install resource random 4.21.4."
_TYPE_NAMES: dict[type, str] = {int: "a whole number", bool: "true or false", str: "a string", dict: "a map"}


def _complete(kind: Kind, inputs: Properties) -> Properties:
    """Return the inputs with their defaults, which the engine never stores as inputs."""
    given = {**kind.defaults, **{key: value for key, value in plain(inputs).items() if value is not None}}
    return {**given, "number": given["numeric"]} if "numeric" in given else given


def _wrong_types(kind: Kind, inputs: Properties) -> list[Failure]:
    types: dict[str, type] = {kind.size: int, **kind.inputs, "keepers": dict}
    failures = [] if inputs.get(kind.size) is not None else [Failure(kind.size, "is required.")]
    for name, value in plain(inputs).items():
        if name not in types:
            failures.append(Failure(name, f"is not covered by the lab's stand-in. {INSTALL_OFFICIAL}"))
        elif value is not None and not isinstance(value, Unknown) and type(value) is not types[name]:
            failures.append(Failure(name, f"must be {_TYPE_NAMES[types[name]]}."))
    return failures


class Random(Provider):
    """The resource types of `KINDS`."""

    name = "random"
    version = "4.21.4"

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        kind = self._kind(resource)
        failures, complete = _wrong_types(kind, new), _complete(kind, new)
        if not failures and not contains_unknown({k: v for k, v in complete.items() if k != "keepers"}):
            failures = kind.invalid(complete)
        return Checked(new, failures)

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        kind = self._kind(resource)
        changes = difference(_complete(kind, old_inputs), _complete(kind, new), ignore=["number"])
        changes.replace = set(changes.paths)
        return changes

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        kind = self._kind(resource)
        complete = _complete(kind, inputs)
        identifier, results = ("", dict.fromkeys(kind.results, UNKNOWN)) if resource.preview else kind.make(complete)
        outputs = {**complete, **results}
        return Created(
            identifier, {key: Secret(value) if key in kind.secret else value for key, value in outputs.items()}
        )

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read:
        if not outputs:
            raise ProviderError(f"The lab's stand-in imports no {resource.type}. {INSTALL_OFFICIAL}")
        return Read(resource.id, outputs, inputs)

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Do nothing: a random value exists only in the state."""

    def _kind(self, resource: Resource) -> Kind:
        if resource.type not in KINDS:
            names = ", ".join(token.rpartition(":")[2] for token in KINDS)
            raise ProviderError(f"The lab's stand-in has no {resource.type}, only {names}. {INSTALL_OFFICIAL}")
        return KINDS[resource.type]


if __name__ == "__main__":
    serve(Random)
