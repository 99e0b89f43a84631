"""Reads a form (`application/x-www-form-urlencoded`) strictly: what is unclear is refused, not guessed."""

import re
from urllib.parse import parse_qsl

from addressbook.persons import BadInput

MAX_FORM_BYTES = 16 * 1024
"""Two names of 255 characters are 6 KiB at most when every byte is escaped."""
MAX_FIELDS = 20

_CONTENT_TYPE = re.compile(r'\s*application/x-www-form-urlencoded\s*(;\s*charset="?utf-?8"?\s*)?;?\s*', re.I)
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def is_form(content_type: str) -> bool:
    """Whether a Content-Type header announces a form in UTF-8."""
    return _CONTENT_TYPE.fullmatch(content_type) is not None


def parse_form(body: bytes) -> dict[str, str]:
    """The form's fields; raises `BadInput` when it is malformed, not UTF-8, or gives a field twice."""
    try:
        # Raw UTF-8 is what `curl -d firstName=Zoë` sends.
        pairs = _parse_pairs(body.decode())
    except UnicodeDecodeError:
        raise BadInput("The form is not UTF-8.") from None
    except ValueError:
        raise BadInput("The form is malformed: write it as firstName=Ada&lastName=Lovelace.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadInput("The form gives a field more than once.")
    return fields


def _parse_pairs(text: str) -> list[tuple[str, str]]:
    """Raises ValueError where `text` is not a form."""
    if _BAD_ESCAPE.search(text):
        raise ValueError("a % without two hexadecimal digits")
    return parse_qsl(
        text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
    )
