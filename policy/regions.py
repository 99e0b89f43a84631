"""Where data may be: the regions that policy-config.json lists for each cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pulumi_policy import EnforcementLevel, PolicyConfigSchema, ResourceValidationPolicy

from policy.judging import Resource, is_set, judge_each

CLOUDS = ("digitalocean", "gcp", "aws")
#: What is in no region at all (Google Cloud documentation, Geography and regions).
EVERYWHERE = "global"
PROVIDERS = "pulumi:providers:"
_ZONE = re.compile(r"-[a-z]$")


@dataclass(frozen=True)
class Place:
    """A property of a resource that says where it is."""

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
    said = str(place.resource.props[place.key])
    region = _ZONE.sub("", said) if place.cloud == "gcp" else said
    regions = list(place.resource.get_config().get(place.cloud, []))
    if region == EVERYWHERE or region.lower() in regions:
        return None
    return (
        f"{place.key} `{said}` is not among the regions that are allowed on {place.cloud} ({', '.join(regions)}):"
        " `pulumi config set region REGION`, or have it added at allowed-regions in policy/policy-config.json"
    )


POLICIES = [
    ResourceValidationPolicy(
        name="allowed-regions",
        description="Data stays in the regions that were agreed on.",
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={cloud: {"type": "array", "items": {"type": "string"}} for cloud in CLOUDS},
            required=list(CLOUDS),
        ),
        validate=judge_each(_places, _allowed),
    ),
]
