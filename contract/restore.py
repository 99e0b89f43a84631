"""Config key ``databaseRestore``: which backup a new database begins from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

#: Parts of the key, by name. ``pulumi config set --path`` turns a number into an integer.
Restore = dict[str, Annotated[str, BeforeValidator(str)]]
#: Parts that are times, in the form that every cloud's API takes (RFC 3339, UTC).
TIMES = ("time", "deleted")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")


def check_parts(restore: Mapping[str, str], *allowed: frozenset[str]) -> None:
    """Raise ValueError unless the key is empty or has one of the allowed sets of parts, with valid times."""
    if restore and frozenset(restore) not in allowed:
        forms = ", or ".join(" and ".join(sorted(each)) for each in allowed)
        raise ValueError(f"must have these parts and no others: {forms}")
    for part in TIMES:
        if part in restore and not _TIME.match(restore[part]):
            raise ValueError(f"{part} must be a time in UTC such as 2026-11-30T09:15:00Z")
