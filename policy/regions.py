"""Resources stay in the regions that policy-config.json allows for each cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.rules import Resource, check_each, is_set

CLOUDS = ("digitalocean", "gcp", "aws")
#: Location of resources that belong to no region (Google Cloud documentation, Geography and regions).
GLOBAL = "global"
PROVIDERS = "pulumi:providers:"
_ZONE = re.compile(r"-[a-z]$")


@dataclass(frozen=True)
class Place:
    """A property that sets where a resource is."""

    resource: Resource
    cloud: str
    key: str


def _places(resource: Resource) -> Iterator[Place]:
    cloud = resource.resource_type.removeprefix(PROVIDERS).partition(":")[0]
    if cloud in CLOUDS:
        for key in ("region", "location", "zone"):
            if is_set(resource.props, key):
                yield Place(resource, cloud, key)


def _allowed(place: Place) -> str | None:
    value = str(place.resource.props[place.key])
    region = _ZONE.sub("", value) if place.cloud == "gcp" else value
    regions = list(place.resource.get_config().get(place.cloud, []))
    if region == GLOBAL or region.lower() in regions:
        return None
    return (
        f"{place.key} `{value}` is not an allowed region on {place.cloud} ({', '.join(regions)}): `pulumi config set"
        " region REGION`, or add it at allowed-regions in policy/policy-config.json"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="allowed-regions",
        description="Resources stay in the allowed regions.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={cloud: {"type": "array", "items": {"type": "string"}} for cloud in CLOUDS},
            required=list(CLOUDS),
        ),
        validate=check_each(_places, _allowed),
    ),
]
