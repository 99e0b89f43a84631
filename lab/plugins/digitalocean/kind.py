"""What DigitalOcean's resource types have in common: regions, tags, ids and names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from lab.plugins.kind import Kind
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DNS_NAME = matches(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "at most 63 lower-case letters, digits and dashes")
SIZE = matches(r"(s|c|c2|g|gd|m|m3|m6|so|so1_5)-[a-z0-9.-]+", "a Droplet size slug, such as s-2vcpu-2gb")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
REGISTRY_NAME = matches(r"[a-z0-9-]{1,63}", "at most 63 lower-case letters, digits and dashes")
# API reference, Registry.
REGISTRY_REGIONS = one_of("nyc3", "sfo2", "sfo3", "ams3", "sgp1", "fra1", "blr1", "syd1")
_TAG = r"[A-Za-z0-9:_-]{1,255}"

# Environment variables from which the provider takes its token; doctl reads the last one.
TOKEN_VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")


def uuid_of(title: str) -> Rule:
    """Return a rule for an input that holds the id of another resource."""
    return matches(UUID, f"the id of a {title} (a UUID)")


class DigitalOceanKind(Kind):
    """A type of DigitalOcean's."""

    package = "pulumi_digitalocean"
    common_rules: ClassVar[Mapping[str, Rule]] = {
        "vpcUuid": uuid_of("VPC"),
        "privateNetworkUuid": uuid_of("VPC"),
        "clusterId": uuid_of("cluster"),
    }


def tag_failures(tags: list[str] | None, path: str = "tags") -> list[Failure]:
    """Return tags that the API would refuse."""
    wrong = [tag for tag in tags or [] if not re.fullmatch(_TAG, tag)]
    return [Failure(path, f"has {tag!r}; tags are letters, digits, colons, dashes and underscores.") for tag in wrong]
