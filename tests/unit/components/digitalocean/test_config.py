"""What only DigitalOcean would refuse of a config."""

from __future__ import annotations

from collections.abc import Callable


def test_conflicting_keys_are_refused(errors: Callable[..., list[str]]):
    assert "nodeCount (5) or more" in errors(nodeCount="5", maxNodeCount="4")[0]
    assert "db-s-1vcpu-2gb is the smallest" in errors(highAvailability="true", databaseSize="db-s-1vcpu-1gb")[0]
