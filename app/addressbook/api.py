"""The HTTP interface: what each route takes, does and answers."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec

from addressbook.database import Unavailable
from addressbook.exchange import NO_HEADERS, Answer, ClientGone, HttpError, Request
from addressbook.forms import is_form, parse_form
from addressbook.openapi import Live, Ready, Refusal, document
from addressbook.persons import MAX_ID, BadInput, Person, Persons, check_name, parse_id, parse_number
from addressbook.readiness import Readiness

BODY_SECONDS = 10.0
"""Time limit for a form of a few hundred bytes to arrive."""
PAGE_SIZE = 128
"""Persons that are read at once for `/all`."""
PAGE_BYTES = 64 * 1024
"""Aim for the later pages of a list: with long names they have fewer persons than the first."""
BY_ID = "/person/{id}"

log = logging.getLogger(__name__)

Found = TypeVar("Found")
Route: TypeAlias = Callable[[Request], Awaitable[Answer]]


class Api:
    """The routes for the persons in a database."""

    def __init__(self, persons: Persons, readiness: Readiness) -> None:
        self._persons = persons
        self._readiness = readiness
        self.routes: Mapping[str, Mapping[str, Route]] = {
            "/person": {"PUT": self.put_person},
            BY_ID: {"GET": self.get_person, "HEAD": self.get_person, "DELETE": self.delete_person},
            "/all": {"GET": self.get_all, "HEAD": self.get_all},
            "/ready": {"GET": self.get_ready, "HEAD": self.get_ready},
            "/live": {"GET": self.get_live, "HEAD": self.get_live},
            "/openapi.json": {"GET": self.get_openapi, "HEAD": self.get_openapi},
        }
        """By the path's template and the method."""

    async def __call__(self, request: Request) -> Answer:
        """Answer a request. Raises only what is a fault of the program."""
        template = _template(request.path)
        methods = self.routes.get(template)
        if methods is None:
            return _refusal(404, "There is nothing here: try /all.")
        request.route = template
        route = methods.get(request.method)
        if route is None:
            allowed = ", ".join(sorted(methods))
            return _refusal(405, f"{request.path} takes {allowed} only.", {"Allow": allowed})
        try:
            return await route(request)
        except BadInput as error:
            return _refusal(400, str(error))
        except HttpError as error:
            return _refusal(error.status, error.sentence)
        except ClientGone:
            return _refusal(400, "The form did not arrive completely.")
        except Unavailable as error:
            return _unavailable(error)

    async def put_person(self, request: Request) -> Answer:
        """Create a person, or change the one with this `id`, which is created if it is not there yet."""
        form = await read_form(request)
        person_id = parse_id(form["id"]) if "id" in form else None
        first_name = check_name("firstName", form.get("firstName"))
        last_name = check_name("lastName", form.get("lastName"))
        if person_id is None:
            return Answer.of(await self._persons.create(first_name, last_name))
        return Answer.of(await self._persons.put(person_id, first_name, last_name))

    async def get_person(self, request: Request) -> Answer:
        return Answer.of(_found(await self._persons.get(parse_id(request.path.removeprefix("/person/")))))

    async def delete_person(self, request: Request) -> Answer:
        """Delete a person and return it."""
        return Answer.of(_found(await self._persons.delete(parse_id(request.path.removeprefix("/person/")))))

    async def get_all(self, request: Request) -> Answer:
        """List persons by id, at most `limit` of those above `after`; a long list is sent page by page.

        A slow reader holds one page and, while it reads, no connection to the database.
        """
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        limit = parse_number("limit", query.get("limit", str(MAX_ID)), 1)
        after = parse_number("after", query.get("after", "0"), 0)
        asked = min(PAGE_SIZE, limit)
        page = await self._persons.page(after, asked)
        if len(page) < asked or asked == limit:
            return Answer.of(page)
        return Answer(self._chunks(page, limit))

    async def _chunks(self, page: Sequence[Person], left: int) -> AsyncGenerator[bytes]:
        """Yield a JSON list that begins with `page`, at most `left` persons long."""
        opening, asked = b"[", len(page)
        while page:
            chunk = opening + msgspec.json.encode(page)[1:-1]
            left -= len(page)
            after, more = page[-1].id, len(page) == asked and left > 0
            asked = min(left, PAGE_SIZE, 1 + PAGE_BYTES * len(page) // len(chunk))
            page = ()  # a slow reader shall hold the bytes only
            yield chunk
            opening = b","
            if more:
                page = await self._persons.page(after, asked)
        yield b"]"

    async def get_ready(self, _request: Request) -> Answer:
        """Return whether requests can be served now; queries the database."""
        try:
            await self._readiness.check()
        except Unavailable as error:
            _log_outage(error)
            return Answer.of(Ready(False, error.reason), 500)
        return Answer.of(Ready(True))

    async def get_live(self, _request: Request) -> Answer:
        """Return that the process answers, without the database, which no restart here would fix."""
        return Answer.of(Live(True))

    async def get_openapi(self, _request: Request) -> Answer:
        return Answer.of(document())


async def read_form(request: Request) -> dict[str, str]:
    """Return the request's form. Raises `BadInput`, `ClientGone`, or HttpError 408, 413 or 415."""
    content_type = (request.header(b"content-type") or b"").decode("latin-1")
    if not is_form(content_type) or request.header(b"content-encoding") is not None:
        raise HttpError(415, "Send a form: Content-Type application/x-www-form-urlencoded, in UTF-8.")
    return parse_form(await request.body(BODY_SECONDS))


def _template(path: str) -> str:
    """Return the template of the route that a path may belong to."""
    if path.startswith("/person/") and len(path) > 8 and "/" not in path[8:]:
        return BY_ID
    return path


def _found(person: Found | None) -> Found:
    if person is None:
        raise HttpError(404, "There is no person with this id.")
    return person


def _refusal(status: int, sentence: str, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    return Answer.of(Refusal(sentence), status, headers)


def _unavailable(error: Unavailable) -> Answer:
    _log_outage(error)
    outcome = "whether the change was stored is not known" if error.outcome_unknown else "nothing was stored"
    return _refusal(503, f"The database is not available now and {outcome}: try again.", {"Retry-After": "1"})


def _log_outage(error: Unavailable) -> None:
    log.warning(
        "database unavailable", extra={"fields": {"reason": error.reason, "cause": repr(error.__cause__)}}
    )
