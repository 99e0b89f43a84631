"""The plugin: `python -m lab.plugins.random`, started by pulumi as `pulumi-resource-random`.

Every input of these resources forces a replacement when it changes, `keepers` included, and results never change by
themselves: so there is no update, and `read` gives back what was stored. What needs the official plugin's own
generator or word list (`seed`, RandomPet, RandomUuid7) is refused.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from lab.plugins.random.kinds import CHARACTER_INPUTS, KINDS, Kind
from lab.plugins.serving import (
    UNKNOWN,
    Checked,
    Created,
    Difference,
    Failure,
    Properties,
    Provider,
    ProviderError,
    Read,
    Resource,
    Secret,
    Unknown,
    contains_unknown,
    difference,
    plain,
    serve,
)


def _complete(kind: Kind, inputs: Properties) -> Properties:
    """Plain inputs with the plugin's defaults, which the engine never stores as inputs."""
    given = {key: value for key, value in plain(inputs).items() if value is not None}
    if kind.optional is CHARACTER_INPUTS and "number" in given:
        given.setdefault("numeric", given["number"])
    return {**kind.defaults, **given}


def _wrong_types(kind: Kind, inputs: Properties) -> list[Failure]:
    failures: list[Failure] = []
    types: dict[str, type] = {**kind.required, **kind.optional, "keepers": dict}
    for name in kind.required:
        if inputs.get(name) is None:
            failures.append(Failure(name, "is required."))
    for name, value in plain(inputs).items():
        wanted = types.get(name)
        if wanted is None:
            hint = "this stand-in has no seed; the official plugin does." if name == "seed" else "is no input."
            failures.append(Failure(name, hint))
        elif value is not None and not isinstance(value, Unknown) and type(value) is not wanted:
            failures.append(Failure(name, f"is {_named(type(value))}, and must be {_named(wanted)}."))
    return failures


def _named(kind: type[Any]) -> str:
    return {int: "a whole number", bool: "true or false", str: "a string", dict: "a map", float: "a number"}.get(
        kind, f"a {kind.__name__}"
    )


class Random(Provider):
    """The resources of `KINDS`."""

    name = "random"
    version = "4.21.4"

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        kind = self._kind(resource)
        failures = _wrong_types(kind, new)
        complete = _complete(kind, new)
        if not failures and not contains_unknown({k: v for k, v in complete.items() if k != "keepers"}):
            failures = kind.invalid(complete)
        return Checked(new, failures)

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        kind = self._kind(resource)
        # `number` is another name of `numeric`, which `_complete` has taken over.
        changes = difference(_complete(kind, old_inputs), _complete(kind, new), ignore=["number"])
        changes.replace = set(changes.paths)
        return changes

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        kind = self._kind(resource)
        complete = _complete(kind, inputs)
        if resource.preview:
            return Created("", self._outputs(kind, complete, dict.fromkeys(kind.results, UNKNOWN)))
        identifier, results = kind.make(complete)
        return Created(identifier, self._outputs(kind, complete, results))

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read:
        kind = self._kind(resource)
        if outputs:
            return Read(resource.id, outputs, inputs)
        try:
            identifier, given, results = kind.imported(resource.id)
        except ValueError as error:
            raise ProviderError(
                f"{resource.id!r} can't be imported as {resource.type}: give {kind.import_form} ({error})."
            ) from error
        return Read(identifier, self._outputs(kind, _complete(kind, given), results), given)

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        pass  # There is nothing but the state.

    def _kind(self, resource: Resource) -> Kind:
        if resource.type not in KINDS:
            raise ProviderError(
                f"the stand-in for the random provider does not make {resource.type}; install the official plugin: "
                f"pulumi plugin install resource random {self.version}."
            )
        return KINDS[resource.type]

    def _outputs(self, kind: Kind, complete: Properties, results: Properties) -> Properties:
        outputs = {**complete, **results}
        if kind.optional is CHARACTER_INPUTS:
            outputs["number"] = outputs["numeric"]
        return {key: Secret(value) if key in kind.secret else value for key, value in outputs.items()}


if __name__ == "__main__":
    serve(Random)
