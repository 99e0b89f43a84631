"""The Artifact Registry repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.components.gcp.simulated import google


def test_a_second_build_is_taken_and_nothing_is_cleaned_up(graph: Callable[..., Any]):
    repository = google(graph(), "Repository").inputs
    assert repository["format"] == "DOCKER"
    assert "dockerConfig" not in repository, "immutable tags refuse what another machine built of the same source"
    assert repository["vulnerabilityScanningConfig"] == {"enablementConfig": "INHERITED"}
    assert "cleanupPolicies" not in repository, "what an index is made of has no tag, and is pulled all the same"
