"""Persons: their data, valid names, and how they are stored."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

import msgspec

from addressbook.database import Database

MAX_NAME_LENGTH = 255
"""Unicode characters; the table has the same limit (migration 1)."""
MAX_ID = 2**63 - 1
"""Maximum of PostgreSQL's bigint."""
MAX_CHOSEN_ID = 2**52
"""Largest id that a client can give a new person.

The sequence goes on behind it, and has as many ids left that JavaScript's numbers hold exactly.
"""

PAGE = (
    "SELECT id, first_name, last_name, created_at, updated_at FROM person WHERE id > $1 ORDER BY id LIMIT $2"
)
GET = "SELECT id, first_name, last_name, created_at, updated_at FROM person WHERE id = $1"
CREATE = (
    "INSERT INTO person (first_name, last_name) VALUES ($1, $2)"
    " RETURNING id, first_name, last_name, created_at, updated_at"
)
_UPDATE = (
    "UPDATE person SET first_name = $2, last_name = $3, updated_at = now() WHERE id = $1"
    " RETURNING id, first_name, last_name, created_at, updated_at"
)
# Inserts take their next id from the sequence under a lock that this one excludes, so none takes one now.
_EXCLUDE_INSERTS = "LOCK TABLE person IN SHARE ROW EXCLUSIVE MODE"
_ADVANCE_SEQUENCE = (
    "SELECT setval(pg_get_serial_sequence('person', 'id'), $1)"
    " WHERE coalesce(pg_sequence_last_value(pg_get_serial_sequence('person', 'id')::regclass), 0) < $1"
)
_CREATE_WITH_ID = (
    "INSERT INTO person (id, first_name, last_name) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3)"
    " ON CONFLICT (id) DO UPDATE SET first_name = $2, last_name = $3, updated_at = now()"
    " RETURNING id, first_name, last_name, created_at, updated_at"
)
_DELETE = "DELETE FROM person WHERE id = $1 RETURNING id, first_name, last_name, created_at, updated_at"
READY = "SELECT 1 FROM person LIMIT 1"


class BadInput(ValueError):
    """Invalid input; the message is for the user."""


class Person(msgspec.Struct, frozen=True, rename="camel"):
    """One person; times are UTC."""

    id: int
    first_name: str
    last_name: str
    created_at: datetime
    updated_at: datetime


def parse_id(text: str) -> int:
    """Return the id in `text`. Raises `BadInput`."""
    return parse_number("id", text, 1)


def parse_number(name: str, text: str, low: int) -> int:
    """Return the number in `text`, from `low` to `MAX_ID`. Raises `BadInput`, which names the parameter."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))
    if not (digits and low <= int(text) <= MAX_ID):
        raise BadInput(f"The {name} must be a whole number from {low} to {MAX_ID}.")
    return int(text)


def check_name(field: str, value: str | None) -> str:
    """Return `value` if it is a valid name. Raises `BadInput`, which names the field."""
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
    """The persons in the database. Every method raises `Unavailable` if the database cannot answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self) -> None:
        """Return if persons can be served: the table exists."""
        await self._database.read(READY)

    async def create(self, first_name: str, last_name: str) -> Person:
        return Person(*(await self._database.write(CREATE, first_name, last_name))[0])

    async def put(self, person_id: int, first_name: str, last_name: str) -> Person:
        """Change the person with this id, or create it. Raises `BadInput` if a new id is too large."""
        rows = await self._database.write(_UPDATE, person_id, first_name, last_name)
        if not rows:
            if person_id > MAX_CHOSEN_ID:
                raise BadInput(f"A new person's id must be at most {MAX_CHOSEN_ID}.")
            rows = await self._database.write_together(
                [
                    (_EXCLUDE_INSERTS, ()),
                    (_ADVANCE_SEQUENCE, (person_id,)),
                    (_CREATE_WITH_ID, (person_id, first_name, last_name)),
                ]
            )
        return Person(*rows[0])

    async def get(self, person_id: int) -> Person | None:
        rows = await self._database.read(GET, person_id)
        return Person(*rows[0]) if rows else None

    async def delete(self, person_id: int) -> Person | None:
        """Return the deleted person, or None if the id is unknown."""
        rows = await self._database.write(_DELETE, person_id)
        return Person(*rows[0]) if rows else None

    async def page(self, after: int, limit: int) -> Sequence[Person]:
        """Return at most `limit` persons with ids above `after`, by id."""
        return [Person(*row) for row in await self._database.read(PAGE, after, limit)]
