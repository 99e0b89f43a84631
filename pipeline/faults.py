"""What went wrong, as a sentence; the command line turns it into an exit code."""

from __future__ import annotations


class StepFailed(Exception):
    """A step of the pipeline failed: exit code 1."""


class WrongUse(Exception):
    """Something is missing or wrong that the caller can mend; nothing was begun: exit code 2."""
