"""What went wrong, as a sentence to the person who can mend it, and the exit code that scripts rely on."""

from __future__ import annotations

#: Exit codes of every command.
DONE = 0
FAILED = 1  #: it did not work out, or the canary was unhealthy and is rolled back
WRONG_USE = 2  #: wrong use or config, or refused; nothing was changed
INCONCLUSIVE = 3  #: too little was seen to judge the canary; it stays on trial
BUSY = 4  #: somebody else is at work on the stack; nothing was changed
INTERRUPTED = 130  #: Ctrl-C, as shells have it

MEANINGS = (
    "exit codes: 0 done; 1 failed, or unhealthy and rolled back; 2 wrong use or config, or refused: nothing was"
    " changed; 3 inconclusive; 4 somebody else is at work on the stack; 130 interrupted"
)


class CommandError(Exception):
    """A command cannot go on. ``message`` is one sentence; ``code`` is the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class UpdateInterruptedError(CommandError):
    """An update was cut off by something that says nothing of what it was about, such as a killed engine."""
