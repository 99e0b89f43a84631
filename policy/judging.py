"""How rules judge: part after part, so that a value that a preview can't know yet hides nothing but itself.

An unknown value raises UnknownValueError where it is read. The other parts are judged all the same; then the error goes
on to the engine, which shows that the rule could not judge this part in the preview. During `up` the value is known,
and judged before the resource is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pulumi_policy import ReportViolation, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

Subject = TypeVar("Subject")
#: Says what is wrong with a subject and how to mend it, in one sentence; None where nothing is.
Judge = Callable[[Subject], str | None]
Resource = ResourceValidationArgs
Validation = Callable[[Resource, ReportViolation], None]


class Parts:
    """The parts of one judgement: those that can't be known yet don't keep the others from being judged."""

    def __init__(self) -> None:
        self._unknown: UnknownValueError | None = None

    @contextmanager
    def part(self) -> Generator[None, None, None]:
        """Judge a part in here."""
        try:
            yield
        except UnknownValueError as error:
            self._unknown = self._unknown or error

    def end(self) -> None:
        """Tell the engine if a part was unknown, by the error that it knows."""
        if self._unknown is not None:
            raise self._unknown


def judge_each(subjects: Callable[[Resource], Iterable[Subject]], *judges: Judge[Subject]) -> Validation:
    """A validation that puts every subject of a resource before every judge."""

    def validate(resource: Resource, report: ReportViolation) -> None:
        parts = Parts()
        with parts.part():
            for subject in subjects(resource):
                for judge in judges:
                    with parts.part():
                        if wrong := judge(subject):
                            report(wrong, None)
        parts.end()

    return validate


def judge_types(judges: Mapping[str, Sequence[Judge[Resource]]]) -> Validation:
    """A validation that puts a resource before the judges of its type."""
    validations = {kind: judge_each(lambda resource: [resource], *those) for kind, those in judges.items()}

    def validate(resource: Resource, report: ReportViolation) -> None:
        if of_type := validations.get(resource.resource_type):
            of_type(resource, report)

    return validate


def judge_all(*validations: Validation) -> Validation:
    """A validation of several."""

    def validate(resource: Resource, report: ReportViolation) -> None:
        parts = Parts()
        for each in validations:
            with parts.part():
                each(resource, report)
        parts.end()

    return validate


def at(value: Any, *path: str) -> Any:
    """What is at that path; None where a part of it is missing. Raises UnknownValueError."""
    for key in path:
        if value is None:
            return None
        value = value.get(key)
    return value


def mapping_at(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at that path; empty where there is none. Raises UnknownValueError."""
    return at(value, *path) or {}


def list_at(value: Any, *path: str) -> Sequence[Any]:
    """The list at that path; empty where there is none. Raises UnknownValueError."""
    return at(value, *path) or ()


def is_set(properties: Mapping[str, Any], key: str) -> bool:
    """Whether the property is given, with a value that may still be unknown."""
    try:
        return properties.get(key) is not None
    except UnknownValueError:
        return True


def stack_of(resource: Resource) -> str:
    """Name of the stack, from the resource's URN."""
    return resource.urn.removeprefix("urn:pulumi:").partition("::")[0]
