"""Parse forms (`application/x-www-form-urlencoded`) strictly: refuse what is unclear."""

import re
from urllib.parse import parse_qsl

from addressbook.persons import BadInput

MAX_FIELDS = 20
FORM_TYPE = "application/x-www-form-urlencoded"

_CONTENT_TYPE = re.compile(r'\s*application/x-www-form-urlencoded\s*(;\s*charset="?utf-?8"?\s*)?;?\s*', re.I)
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def is_form(content_type: str) -> bool:
    """Return whether a Content-Type header is that of a UTF-8 form."""
    return _CONTENT_TYPE.fullmatch(content_type) is not None


def parse_form(body: bytes) -> dict[str, str]:
    """Return the form's fields. Raises `BadInput` if it is malformed, not UTF-8, or repeats a field."""
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
    """Parse the fields. Raises ValueError if `text` is not a form."""
    if _BAD_ESCAPE.search(text):
        raise ValueError("a % without two hexadecimal digits")
    return parse_qsl(
        text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
    )
