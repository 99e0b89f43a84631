"""The cheapest production stack, rehearsed: only the cloud is simulated."""

from __future__ import annotations

from lab import simulation
from lab.tests.rehearsed import CLOUDS, rehearse_whole_life


def test_every_simulated_cloud_is_rehearsed():
    assert set(CLOUDS) == set(simulation.clouds())


def test_digitalocean_stack_lives_from_preview_to_destroy(lab: dict[str, str]):
    rehearse_whole_life(CLOUDS["digitalocean"])
