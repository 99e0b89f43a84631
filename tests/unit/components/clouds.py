"""The clouds that share tests, and their stack files."""

from __future__ import annotations

import json

import yaml

from contract.project import PROJECT_ROOT
from tests.unit.components.aws.simulated import AWS
from tests.unit.components.digitalocean.simulated import DIGITALOCEAN
from tests.unit.components.gcp.simulated import GCP

CLOUDS = (AWS, DIGITALOCEAN, GCP)


def config_of(stack: str) -> dict[str, str]:
    """Return the config in a stack file as the engine passes it: whatever is not text as JSON."""
    config = yaml.safe_load((PROJECT_ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {
        key.removeprefix("addressbook:"): value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
    }
