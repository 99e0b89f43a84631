"""Values that the API documents, as far as the program can choose them."""

from __future__ import annotations

from lab.plugins.declared import Property

# The SDK's enumerations Region, DropletSlug and DatabaseSlug; regions of registries and rules from the API reference.
REGIONS = frozenset(
    ["nyc1", "nyc2", "nyc3", "sgp1", "lon1", "ams2", "ams3", "fra1", "tor1", "sfo1", "sfo2", "sfo3", "blr1", "syd1"]
)
REGISTRY_REGIONS = frozenset(["nyc3", "sfo2", "sfo3", "ams3", "sgp1", "fra1", "blr1", "syd1"])
DAYS = frozenset(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])

REGION = Property(str, required=True, replaces=True, values=REGIONS)
NODE_SIZE = Property(
    str,
    required=True,
    replaces=True,
    pattern=r"(s|c|c2|g|gd|m|m3|m6|so|so1_5)-[a-z0-9.-]+",
    rule="a Droplet size slug, such as s-2vcpu-2gb",
)
TAGS = Property(list, each=str)
TAG_PATTERN = r"[A-Za-z0-9:_-]{1,255}"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

# Environment variables that the provider takes its token from; doctl reads the last one.
TOKEN_VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
