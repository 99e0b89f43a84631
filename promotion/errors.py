"""Errors that end a command with a message, and the exit codes that scripts rely on."""

from __future__ import annotations

#: Exit codes of every command.
DONE = 0
FAILED = 1  #: the command failed; also the exit code of an uncaught Python exception
WRONG_USE = 2  #: wrong use, invalid config, or a refusal; nothing was changed
INCONCLUSIVE = 3  #: too few samples to judge the canary; it stays on trial
BUSY = 4  #: another command is running on the stack; nothing was changed
UNHEALTHY = 5  #: the canary was unhealthy; it is rolled back unless --keep was given
DRIFTED = 6  #: `status --exit-code` found a difference between Git, the stack file, the last update and the cluster
INTERRUPTED = 130  #: Ctrl-C, as in shells

EXIT_CODES = """exit codes:
  0    done
  1    failed
  2    wrong use, invalid config, or refused; nothing was changed
  3    inconclusive: too few samples to judge the canary
  4    another command is running on the stack; nothing was changed
  5    the canary was unhealthy; it is rolled back, unless --keep was given
  6    `status --exit-code` found drift
  130  interrupted"""


class CommandError(Exception):
    """A command cannot go on. The message says what is wrong and what to do; ``code`` is the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class UpdateInterruptedError(CommandError):
    """An update was interrupted from outside, for example by a killed engine. The release may be fine."""
