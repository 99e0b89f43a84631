"""Run rules on resources part by part, so that one unknown value hides nothing else.

Reading a value that the preview does not know yet raises UnknownValueError. The other parts are still checked; then the
error goes to the engine, which reports that the policy could not check this part yet. During `up` the value is known,
and checked before the resource changes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pulumi_policy import ReportViolation, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

Subject = TypeVar("Subject")
#: Returns what is wrong with a subject and how to fix it, in one sentence; None if nothing is.
Rule = Callable[[Subject], str | None]
Resource = ResourceValidationArgs
Validation = Callable[[Resource, ReportViolation], None]


class Parts:
    """Check parts independently: an unknown value in one does not stop the others."""

    def __init__(self) -> None:
        self._unknown: UnknownValueError | None = None

    @contextmanager
    def part(self) -> Generator[None, None, None]:
        """Check one part inside this context."""
        try:
            yield
        except UnknownValueError as error:
            self._unknown = self._unknown or error

    def end(self) -> None:
        """Raise the first UnknownValueError, which tells the engine that a part was not checked."""
        if self._unknown is not None:
            raise self._unknown


def check_each(subjects: Callable[[Resource], Iterable[Subject]], *rules: Rule[Subject]) -> Validation:
    """Return a validation that applies every rule to every subject of a resource."""

    def validate(resource: Resource, report: ReportViolation) -> None:
        parts = Parts()
        with parts.part():
            for subject in subjects(resource):
                for rule in rules:
                    with parts.part():
                        if wrong := rule(subject):
                            report(wrong, None)
        parts.end()

    return validate


def check_types(rules: Mapping[str, Sequence[Rule[Resource]]]) -> Validation:
    """Return a validation that applies the rules of a resource's type."""
    validations = {kind: check_each(lambda resource: [resource], *applied) for kind, applied in rules.items()}

    def validate(resource: Resource, report: ReportViolation) -> None:
        if of_type := validations.get(resource.resource_type):
            of_type(resource, report)

    return validate


def check_all(*validations: Validation) -> Validation:
    """Return a validation that runs several others."""

    def validate(resource: Resource, report: ReportViolation) -> None:
        parts = Parts()
        for each in validations:
            with parts.part():
                each(resource, report)
        parts.end()

    return validate


def at(value: Any, *path: str) -> Any:
    """Return the value at a path; None if part of the path is missing. Raises UnknownValueError."""
    for key in path:
        if value is None:
            return None
        value = value.get(key)
    return value


def mapping_at(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the mapping at a path; empty if there is none. Raises UnknownValueError."""
    return at(value, *path) or {}


def list_at(value: Any, *path: str) -> Sequence[Any]:
    """Return the list at a path; empty if there is none. Raises UnknownValueError."""
    return at(value, *path) or ()


def is_set(properties: Mapping[str, Any], key: str) -> bool:
    """Return whether a property is set, even if its value is still unknown."""
    try:
        return properties.get(key) is not None
    except UnknownValueError:
        return True


def stack_of(resource: Resource) -> str:
    """Return the stack's name, from the resource's URN."""
    return resource.urn.removeprefix("urn:pulumi:").partition("::")[0]
