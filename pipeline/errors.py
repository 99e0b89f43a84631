"""Errors, each with the exit code that the command line turns it into."""

from __future__ import annotations


class StepError(Exception):
    """A step of the pipeline failed: exit code 1."""


class UsageError(Exception):
    """Invalid use or a missing prerequisite; nothing was started: exit code 2."""
