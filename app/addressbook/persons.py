"""Persons: what one is, which names are allowed, and how they are stored."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

import msgspec

from addressbook.database import Database

MAX_NAME_LENGTH = 255
"""Unicode characters; the table's own limit (migration 1)."""
MAX_ID = 2**63 - 1
"""PostgreSQL's bigint."""

_ALL = "SELECT id, first_name, last_name, created_at, updated_at FROM person ORDER BY id"
_GET = "SELECT id, first_name, last_name, created_at, updated_at FROM person WHERE id = $1"
_CREATE = (
    "INSERT INTO person (first_name, last_name) VALUES ($1, $2)"
    " RETURNING id, first_name, last_name, created_at, updated_at"
)
_UPDATE = (
    "UPDATE person SET first_name = $2, last_name = $3, updated_at = now() WHERE id = $1"
    " RETURNING id, first_name, last_name, created_at, updated_at"
)
_DELETE = "DELETE FROM person WHERE id = $1 RETURNING id, first_name, last_name, created_at, updated_at"
_READY = "SELECT 1 FROM person LIMIT 1"


class BadInput(ValueError):
    """Something a user gave can't be used; the message is the sentence to tell them."""


class Person(msgspec.Struct, frozen=True, rename="camel"):
    """One person; times are UTC."""

    id: int
    first_name: str
    last_name: str
    created_at: datetime
    updated_at: datetime


def parse_id(text: str) -> int:
    """The id that `text` says; raises `BadInput`."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID)) and 0 < int(text) <= MAX_ID):
        raise BadInput(f"The id must be a whole number from 1 to {MAX_ID}.")
    return int(text)


def check_name(field: str, value: str | None) -> str:
    """`value` if it can be a name; raises `BadInput` naming the form's field."""
    if value is None:
        raise BadInput(f"The form lacks {field}.")
    if not value.strip():
        raise BadInput(f"{field} must not be empty.")
    if len(value) > MAX_NAME_LENGTH:
        raise BadInput(f"{field} is {len(value)} characters long; at most {MAX_NAME_LENGTH} are stored.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise BadInput(f"{field} contains a control character.")
    return value


class Persons:
    """The persons in the database. Every method raises `Unavailable` when it can't answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self) -> None:
        """Returns when persons can be served, the table included."""
        await self._database.read(_READY)

    async def create(self, first_name: str, last_name: str) -> Person:
        return Person(*(await self._database.write(_CREATE, first_name, last_name))[0])

    async def update(self, person_id: int, first_name: str, last_name: str) -> Person | None:
        """The person as it is now, or None when there is none with that id."""
        rows = await self._database.write(_UPDATE, person_id, first_name, last_name)
        return Person(*rows[0]) if rows else None

    async def get(self, person_id: int) -> Person | None:
        rows = await self._database.read(_GET, person_id)
        return Person(*rows[0]) if rows else None

    async def delete(self, person_id: int) -> Person | None:
        """The person that is gone now, or None when there was none with that id."""
        rows = await self._database.write(_DELETE, person_id)
        return Person(*rows[0]) if rows else None

    async def all(self) -> Sequence[Person]:
        """All persons, oldest first."""
        return [Person(*row) for row in await self._database.read(_ALL)]
