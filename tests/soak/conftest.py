"""The long tests use the end-to-end tests' stacks."""

from tests.e2e.conftest import trial, trial_stack

__all__ = ["trial", "trial_stack"]
