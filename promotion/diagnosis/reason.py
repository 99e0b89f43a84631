"""A cause with its sentence and its remedy, before it is known whom it concerns."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """Word for scripts, sentence, remedy; as in Finding."""

    cause: str
    what: str
    remedy: str
