"""Names and values that Google's documentation states, as far as the program can choose them."""

from __future__ import annotations

import re

from lab.plugins.declared import Property
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

# Compute Engine, Naming resources (RFC 1035), which Cloud DNS and Artifact Registry follow, too.
_NAME = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
NAME = Property(
    str,
    replaces=True,
    pattern=_NAME,
    rule="1 to 63 lower-case letters, digits and dashes, the first a letter, the last no dash",
)
DESCRIPTION = Property(str, pattern=r"(?s).{0,1024}", rule="1024 characters at most")
REGION_PATTERN = r"[a-z]+-[a-z]+[0-9]+"
REGION = Property(str, required=True, replaces=True, pattern=REGION_PATTERN, rule="a region, such as europe-west3")
PROJECT = Property(
    str,
    replaces=True,
    pattern=r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
    rule="a project's id, 6 to 30 lower-case letters, digits and dashes",
)
NETWORK = Property(
    str,
    required=True,
    replaces=True,
    pattern=r"(https://www\.googleapis\.com/compute/v1/)?projects/[a-z0-9-]+/global/networks/" + _NAME,
    rule="the id of a network, projects/PROJECT/global/networks/NAME",
)
SUBNETWORK_PATTERN = r"projects/[a-z0-9-]+/regions/" + REGION_PATTERN + "/subnetworks/" + _NAME
#: A range of IPv4 addresses.
RANGE_PATTERN = r"[0-9]{1,3}(\.[0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])"
RANGE_RULE = "a range of addresses, such as 10.64.0.0/20"
MEMBER = Property(
    str,
    required=True,
    replaces=True,
    pattern=r"allUsers|allAuthenticatedUsers|(user|group|serviceAccount|domain|principal(Set)?):.+",
    rule="a kind and a name, such as serviceAccount:EMAIL",
)
ROLE = Property(
    str,
    required=True,
    replaces=True,
    pattern=r"((projects|organizations)/[^/]+/)?roles/[A-Za-z0-9_.]+",
    rule="a role, such as roles/viewer",
)
LABELS = Property(dict, each=str)
#: What the provider, not the cloud, does at a delete; PREVENT refuses it.
DELETION_POLICY = Property(str, values=frozenset({"DELETE", "ABANDON", "PREVENT"}))

# Labels: Resource Manager, Requirements for labels.
_LABEL_KEY = r"[a-z][a-z0-9_-]{0,62}"
_LABEL_VALUE = r"[a-z0-9_-]{0,63}"
MOST_LABELS = 64


def label_faults(labels: Properties | None, where: str) -> list[Failure]:
    """Labels that the API would refuse."""
    given = labels or {}
    found = [
        Failure(where, f"has {key}={value}; keys and values are lower-case letters, digits, dashes, underscores.")
        for key, value in given.items()
        if not re.fullmatch(_LABEL_KEY, key) or not re.fullmatch(_LABEL_VALUE, str(value))
    ]
    if len(given) > MOST_LABELS:
        found.append(Failure(where, f"has {len(given)} labels, and {MOST_LABELS} are the most."))
    return found
