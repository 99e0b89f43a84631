"""The database test: creates a person, reads it back, deletes it, and leaves nothing behind."""

from addressbook.database import Database
from addressbook.persons import Person, Persons
from addressbook.settings import Settings

FIRST_NAME, LAST_NAME = "Database", "Test"


class RoundTripError(Exception):
    """The database returned something other than what was stored."""


async def round_trip(settings: Settings) -> str:
    """Create, read and delete a person; return a sentence. Raises `RoundTripError` or `Unavailable`."""
    database = Database(settings.database, size=1)
    try:
        persons = Persons(database)
        created = await persons.create(FIRST_NAME, LAST_NAME)
        try:
            _expect(created, await persons.get(created.id), "reading")
        finally:
            deleted = await persons.delete(created.id)
        _expect(created, deleted, "deleting")
        if await persons.get(created.id) is not None:
            raise RoundTripError(f"Person {created.id} is still there after it was deleted.")
    finally:
        await database.close()
    return f"Created, read and deleted person {created.id}."


def _expect(created: Person, found: Person | None, doing: str) -> None:
    if found != created:
        raise RoundTripError(f"After creating person {created.id}, {doing} it gave {found}.")
