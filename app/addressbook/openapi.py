"""The OpenAPI document, made from the types of requests and answers."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from addressbook.exchange import JSON_TYPE
from addressbook.forms import FORM_TYPE
from addressbook.persons import MAX_ID, MAX_NAME_LENGTH, Person

API_VERSION = "1.1.0"

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]


class PersonForm(msgspec.Struct, rename="camel"):
    """A new person's names, or with `id` the names of the person with that id."""

    first_name: Name
    last_name: Name
    id: Id | UnsetType = UNSET


class Refusal(msgspec.Struct):
    """Why a request was refused, in one sentence."""

    error: str


class Ready(msgspec.Struct, omit_defaults=True):
    """Whether requests can be served now, and why not."""

    ready: bool
    error: str | UnsetType = UNSET


class Live(msgspec.Struct):
    """The process answers."""

    live: bool


class Operation(msgspec.Struct, frozen=True):
    """What the document says of one method of one path."""

    summary: str
    answer: type
    parameters: tuple[tuple[str, str, Any, bool], ...] = ()
    """Name, place (`path` or `query`), type, required."""
    form: type | None = None
    refusals: tuple[int, ...] = ()
    failures: tuple[int, ...] = ()
    """Statuses at which the answer has the type of a success."""
    answers_list: bool = False


_BY_ID: tuple[tuple[str, str, Any, bool], ...] = (("id", "path", Id, True),)
_PAGE: tuple[tuple[str, str, Any, bool], ...] = (
    ("limit", "query", Id, False),
    ("after", "query", Annotated[int, Meta(ge=0, le=MAX_ID)], False),
)
OPERATIONS: dict[tuple[str, str], Operation] = {
    ("PUT", "/person"): Operation(
        "Create a person, or change the one with this id.",
        Person,
        form=PersonForm,
        refusals=(400, 408, 413, 415, 503),
    ),
    ("GET", "/person/{id}"): Operation("Read a person.", Person, _BY_ID, refusals=(400, 404, 503)),
    ("DELETE", "/person/{id}"): Operation(
        "Delete a person and return it.", Person, _BY_ID, refusals=(400, 404, 503)
    ),
    ("GET", "/all"): Operation(
        "List persons by id: at most `limit` with an id above `after`.",
        Person,
        _PAGE,
        refusals=(400, 503),
        answers_list=True,
    ),
    ("GET", "/ready"): Operation("Check that requests can be served.", Ready, failures=(500,)),
    ("GET", "/live"): Operation("Check that the process answers.", Live),
}


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as JSON values."""
    types = (Person, PersonForm, Refusal, Ready, Live)
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "addressbook", "version": API_VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answer = _reference(operation.answer)
    if operation.answers_list:
        answer = {"type": "array", "items": answer}
    responses = {"200": _content("Done.", answer)}
    responses |= {str(status): _content("Not ready.", answer) for status in operation.failures}
    refusal = _reference(Refusal)
    responses |= {str(status): _content("Refused.", refusal) for status in operation.refusals}
    described: dict[str, Any] = {"summary": operation.summary, "responses": responses}
    if operation.parameters:
        described["parameters"] = [
            {"name": name, "in": place, "required": required, "schema": msgspec.json.schema(kind)}
            for name, place, kind, required in operation.parameters
        ]
    if operation.form:
        schema = {"schema": _reference(operation.form)}
        described["requestBody"] = {"required": True, "content": {FORM_TYPE: schema}}
    return described


def _reference(kind: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {JSON_TYPE: {"schema": schema}}}
