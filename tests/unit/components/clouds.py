"""The clouds that share tests."""

from __future__ import annotations

from tests.unit.components.aws.simulated import AWS
from tests.unit.components.digitalocean.simulated import DIGITALOCEAN
from tests.unit.components.gcp.simulated import GCP

CLOUDS = (AWS, DIGITALOCEAN, GCP)
