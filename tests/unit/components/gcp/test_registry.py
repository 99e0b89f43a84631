"""The Artifact Registry repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.components.gcp.simulated import google


def test_tags_are_for_good_and_nothing_is_cleaned_up(graph: Callable[..., Any]):
    repository = google(graph(), "Repository").inputs
    assert repository["format"] == "DOCKER"
    assert repository["dockerConfig"] == {"immutableTags": True}
    assert repository["vulnerabilityScanningConfig"] == {"enablementConfig": "INHERITED"}
    assert "cleanupPolicies" not in repository, "what an index is made of has no tag, and is pulled all the same"
