"""The HTTP interface: what each route takes, does and answers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from addressbook.database import Database, Unavailable
from addressbook.forms import MAX_FORM_BYTES, is_form, parse_form
from addressbook.openapi import JSON_TYPE, Live, Ready, Refusal, document
from addressbook.persons import MAX_ID, BadInput, Person, Persons, check_name, parse_id, parse_number
from addressbook.readiness import Readiness

BODY_SECONDS = 10.0
"""Time limit for a form of a few hundred bytes to arrive."""
PAGE_SIZE = 128
"""Persons that are read at once for `/all`."""
PAGE_BYTES = 64 * 1024
"""Aim for the later pages of a list: with long names they have fewer persons than the first."""

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

Found = TypeVar("Found")


class Api:
    """The routes for the persons in a database."""

    def __init__(self, persons: Persons, readiness: Readiness) -> None:
        self._persons = persons
        self._readiness = readiness
        self.routes = [
            Route("/person", self.put_person, methods=["PUT"]),
            Route("/person/{id}", self.get_person, methods=["GET"]),
            Route("/person/{id}", self.delete_person, methods=["DELETE"]),
            Route("/all", self.get_all, methods=["GET"]),
            Route("/ready", self.get_ready, methods=["GET"]),
            Route("/live", self.get_live, methods=["GET"]),
            Route("/openapi.json", self.get_openapi, methods=["GET"]),
        ]

    async def put_person(self, request: Request) -> Response:
        """Create a person, or change the one with this `id`, which is created if it is not there yet."""
        form = await read_form(request)
        person_id = parse_id(form["id"]) if "id" in form else None
        first_name = check_name("firstName", form.get("firstName"))
        last_name = check_name("lastName", form.get("lastName"))
        if person_id is None:
            return _answer(await self._persons.create(first_name, last_name))
        return _answer(await self._persons.put(person_id, first_name, last_name))

    async def get_person(self, request: Request) -> Response:
        return _answer(_found(await self._persons.get(parse_id(request.path_params["id"]))))

    async def delete_person(self, request: Request) -> Response:
        """Delete a person and return it."""
        return _answer(_found(await self._persons.delete(parse_id(request.path_params["id"]))))

    async def get_all(self, request: Request) -> Response:
        """List persons by id, at most `limit` of those above `after`; a long list is sent page by page.

        A slow reader holds one page and, while it reads, no connection to the database.
        """
        limit = parse_number("limit", request.query_params.get("limit", str(MAX_ID)), 1)
        after = parse_number("after", request.query_params.get("after", "0"), 0)
        asked = min(PAGE_SIZE, limit)
        page = await self._persons.page(after, asked)
        if len(page) < asked or asked == limit:
            return _answer(page)
        chunks = iter(()) if request.method == "HEAD" else self._chunks(page, limit)
        return StreamingResponse(chunks, media_type=JSON_TYPE)

    async def _chunks(self, page: Sequence[Person], left: int) -> AsyncIterator[bytes]:
        """Yield a JSON list that begins with `page`, at most `left` persons long."""
        opening, asked = b"[", len(page)
        while page:
            chunk = opening + _encode(page)[1:-1]
            left -= len(page)
            after, more = page[-1].id, len(page) == asked and left > 0
            asked = min(left, PAGE_SIZE, 1 + PAGE_BYTES * len(page) // len(chunk))
            page = ()  # a slow reader shall hold the bytes only
            yield chunk
            opening = b","
            if more:
                page = await self._persons.page(after, asked)
        yield b"]"

    async def get_ready(self, _request: Request) -> Response:
        """Return whether requests can be served now; queries the database."""
        try:
            await self._readiness.check()
        except Unavailable as error:
            _log_outage(error)
            return _answer(Ready(False, error.reason), 500)
        return _answer(Ready(True))

    async def get_live(self, _request: Request) -> Response:
        """Return that the process answers, without the database, which no restart here would fix."""
        return _answer(Live(True))

    async def get_openapi(self, _request: Request) -> Response:
        return _answer(document())


def create_app(database: Database, probe: Database) -> Starlette:
    """Return the application, which opens both pools at start-up and closes them at shutdown.

    `probe` is used for readiness alone: load on `database` makes the process slow, not unready.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await database.open()
        await probe.open()
        yield
        await database.close()
        await probe.close()

    app = Starlette(
        routes=Api(Persons(database), Readiness(Persons(probe))).routes,
        lifespan=lifespan,
        exception_handlers={
            BadInput: _bad_input,
            HTTPException: _http_error,
            ClientDisconnect: _client_gone,
            Unavailable: _unavailable,
            Exception: _unexpected,
        },
    )
    app.router.redirect_slashes = False
    return app


async def read_form(request: Request) -> dict[str, str]:
    """Return the request's form. Raises `BadInput`, or HTTPException 408, 413 or 415 if it cannot be read."""
    if not is_form(request.headers.get("content-type", "")) or "content-encoding" in request.headers:
        raise HTTPException(415, "Send a form: Content-Type application/x-www-form-urlencoded, in UTF-8.")
    too_large = HTTPException(413, f"The form is too large: at most {MAX_FORM_BYTES} bytes are accepted.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_FORM_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"The form did not arrive within {BODY_SECONDS:.0f} seconds.") from None
    return parse_form(bytes(body))


def _found(person: Found | None) -> Found:
    if person is None:
        raise HTTPException(404, "There is no person with this id.")
    return person


def _answer(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(content), status, headers, media_type=JSON_TYPE)


def _refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return _answer(Refusal(sentence), status, headers)


async def _bad_input(_request: Request, error: Exception) -> Response:
    return _refusal(400, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = _allowed_methods(request)
        return _refusal(405, f"{request.url.path} takes {allowed} only.", {"Allow": allowed})
    if error.status_code == 404 and "endpoint" not in request.scope:
        return _refusal(404, "There is nothing here: try /all.")
    return _refusal(error.status_code, error.detail)


def _allowed_methods(request: Request) -> str:
    app: Starlette = request.app
    routes = [route for route in app.routes if isinstance(route, Route)]
    matching = (route.methods or () for route in routes if route.path_regex.match(request.url.path))
    return ", ".join(sorted({method for methods in matching for method in methods}))


async def _client_gone(_request: Request, _error: Exception) -> Response:
    return _refusal(400, "The connection ended before the form did.")


async def _unavailable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    _log_outage(error)
    outcome = "whether the change was stored is not known" if error.outcome_unknown else "nothing was stored"
    return _refusal(503, f"The database is not available now and {outcome}: try again.", {"Retry-After": "1"})


def _log_outage(error: Unavailable) -> None:
    log.warning(
        "database unavailable", extra={"fields": {"reason": error.reason, "cause": repr(error.__cause__)}}
    )


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return _refusal(500, "The addressbook failed; see its log.")
