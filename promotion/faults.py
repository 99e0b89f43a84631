"""What went wrong, as a sentence to the person who can mend it, and the exit code that scripts rely on."""

from __future__ import annotations

#: Exit codes of every command.
DONE = 0
FAILED = 1
WRONG_USE = 2


class Fault(Exception):
    """A command cannot go on. ``message`` is one sentence; ``code`` is the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
