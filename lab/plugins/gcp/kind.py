"""What Google's resource types have in common: a project, an API that must be enabled, labels, links, and names."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record, injected_fault
from lab.plugins.engine import Engine
from lab.plugins.kind import ApiError, Kind
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, at_most, matches, one_of
from lab.plugins.times import has_passed

#: Regions of Google Cloud (Compute Engine documentation, Regions and zones), some of them.
REGIONS = (
    "asia-northeast1", "asia-southeast1", "australia-southeast1", "europe-north1", "europe-southwest1", "europe-west1",
    "europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west9", "northamerica-northeast1",
    "southamerica-east1", "us-central1", "us-east1", "us-east4", "us-west1", "us-west2",
)  # fmt: skip

COMPUTE_LINK = "https://www.googleapis.com/compute/v1/"

# Compute Engine, Naming resources (RFC 1035); Cloud DNS and Artifact Registry follow it, too.
_NAME = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
REGION_PATTERN = r"[a-z]+-[a-z]+[0-9]+"
NAME = matches(_NAME, "1 to 63 lower-case letters, digits and dashes, starting with a letter, not ending with a dash")
REGION = matches(REGION_PATTERN, "a region, such as europe-west3")
NETWORK = matches(
    r"(https://www\.googleapis\.com/compute/v1/)?projects/[a-z0-9-]+/global/networks/" + _NAME,
    "the id of a network, projects/PROJECT/global/networks/NAME",
)
SUBNETWORK = matches(
    r"projects/[a-z0-9-]+/regions/" + REGION_PATTERN + "/subnetworks/" + _NAME, "the id of a subnetwork"
)
RANGE = matches(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])", "a range of addresses, such as 10.64.0.0/20")
IAM_RULES: Mapping[str, Rule] = {
    "member": matches(
        r"allUsers|allAuthenticatedUsers|(user|group|serviceAccount|domain|principal(Set)?):.+",
        "a kind and a name, such as serviceAccount:EMAIL",
    ),
    "role": matches(r"((projects|organizations)/[^/]+/)?roles/[A-Za-z0-9_.]+", "a role, such as roles/viewer"),
}

# Resource Manager, Requirements for labels.
_LABEL_KEY = r"[a-z][a-z0-9_-]{0,62}"
_LABEL_VALUE = r"[a-z0-9_-]{0,63}"
MAXIMUM_LABELS = 64

#: Output of an enabled API: when it begins to answer.
USABLE_FROM = "__usableFrom"

#: APIs that every simulated project has from the beginning, unless the fault `disabled:Service` is injected.
PREREQUISITES = ("cloudresourcemanager", "serviceusage")


def require_api(account: Account, project: str, api: str) -> None:
    """Raise ApiError unless the API is enabled in the project, and has been for long enough to answer."""
    if api in PREREQUISITES and injected_fault("Service") != "disabled":
        return
    service = f"{api}.googleapis.com"
    enabled = account.get("Service", f"{project}/{service}")
    usable_from = enabled.outputs.get(USABLE_FROM) if enabled else None  # unset while it is being enabled
    if not usable_from or not has_passed(usable_from):
        raise ApiError(
            f"403 the API {service} has not been used in project {project} before or it is disabled; if you enabled it"
            " recently, wait a few minutes and retry (SERVICE_DISABLED)"
        )


class GoogleKind(Kind):
    """A type whose ``api`` (``compute``) must be enabled in the project before anything is created."""

    package = "pulumi_gcp"
    common_rules: ClassVar[Mapping[str, Rule]] = {
        "name": NAME,
        "region": REGION,
        "network": NETWORK,
        "subnetwork": SUBNETWORK,
        "description": at_most(1024),
        "project": matches(
            r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "a project's id, 6 to 30 lower-case letters, digits and dashes"
        ),
        # The provider, not the cloud, follows this when it deletes; PREVENT refuses.
        "deletionPolicy": one_of("DELETE", "ABANDON", "PREVENT"),
    }
    api: ClassVar[str]
    labelled: ClassVar[str] = ""
    """The input with the labels, "" if the type has none."""
    in_use = "400 the {title} {id!r} is already being used by {users}"

    def __init__(self, account: Account, engine: Engine) -> None:
        super().__init__(account, engine)
        self.default_project = ""
        """The project in the provider's configuration."""

    def project(self, inputs: Properties) -> str:
        """Return the project that the resource is in."""
        return inputs.get("project") or self.default_project

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return label_failures(inputs.get(self.labelled), self.labelled) if self.labelled else []

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        require_api(self.account, self.project(inputs), self.api)
        for name in ("region", "location"):
            place = str(inputs.get(name) or "")
            if "-" in place and place not in REGIONS:  # `eu` is a place of several regions
                raise ApiError(f"400 invalid value for field {name!r}: {place!r}. Unknown region.")
        super().check_dependencies(inputs)

    @override
    def with_defaults(self, inputs: Properties) -> Properties:
        found = super().with_defaults(inputs)
        if "project" in self.schema.inputs:
            found["project"] = self.project(inputs)
        if self.labelled:
            labels = inputs.get(self.labelled) or {}
            found |= {"pulumiLabels": labels, "effectiveLabels": {**labels, "goog-pulumi-provisioned": "true"}}
        return found

    @override
    def previewed(self, inputs: Properties, unknown: Value) -> Properties:
        own = {"project": unknown} if "project" in self.schema.inputs else {}
        return {**super().previewed(inputs, unknown), **own}

    @override
    def delete(self, record: Record) -> None:
        if record.inputs.get("deletionPolicy") == "PREVENT":
            raise ApiError("its deletion policy is PREVENT; set another, run `pulumi up`, and then delete it")
        super().delete(record)

    @override
    def plain_id(self, reference: str) -> str:
        return reference.removeprefix(COMPUTE_LINK)


def label_failures(labels: Properties | None, path: str) -> list[Failure]:
    """Return labels that the API would refuse."""
    given = labels or {}
    found = [
        Failure(path, f"has {key}={value}; keys and values are lower-case letters, digits, dashes and underscores.")
        for key, value in given.items()
        if not re.fullmatch(_LABEL_KEY, key) or not re.fullmatch(_LABEL_VALUE, str(value))
    ]
    if len(given) > MAXIMUM_LABELS:
        found.append(Failure(path, f"has {len(given)} labels; at most {MAXIMUM_LABELS} are allowed."))
    return found


def numeric_id(digits: int = 19) -> str:
    """Return a random id of that many digits, as the APIs number things."""
    return str(10 ** (digits - 1) + secrets.randbelow(9 * 10 ** (digits - 1)))
