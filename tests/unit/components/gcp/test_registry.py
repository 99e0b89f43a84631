"""The Artifact Registry repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.components.gcp.simulated import google


def test_tags_may_move_and_nothing_is_cleaned_up(graph: Callable[..., Any]):
    repository = google(graph(), "Repository").inputs
    assert repository["format"] == "DOCKER"
    assert "dockerConfig" not in repository, "immutable tags refuse another machine's build of the same source"
    assert repository["vulnerabilityScanningConfig"] == {"enablementConfig": "INHERITED"}
    assert "cleanupPolicies" not in repository, "an untagged image may be part of an index in use"
