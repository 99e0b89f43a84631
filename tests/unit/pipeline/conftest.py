"""Fixtures of the pipeline's tests."""

from tests.unit.pipeline.simulated_github import hub

__all__ = ["hub"]
