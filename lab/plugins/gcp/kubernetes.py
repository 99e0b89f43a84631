"""GKE clusters: the lab's own Kubernetes stands behind every one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.exec_credential import certificate_authority
from lab.plugins.gcp.kind import RANGE, REGION_PATTERN, GoogleKind, numeric_id
from lab.plugins.kind import ApiError, values_at
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

LINK = "https://container.googleapis.com/v1/"
TIME = matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "a time, such as 2024-01-07T03:00:00Z")
# GKE documentation, Maintenance windows: minimum length of a window, and of all windows in 32 days.
MINIMUM_WINDOW_HOURS = 4
MINIMUM_HOURS_IN_32_DAYS = 48
#: Minimum number of recurrences in 32 days.
RECURRENCES = {"DAILY": 32, "WEEKLY": 4}
#: Versions on offer, oldest first. An invented build of each minor version.
OFFERED = tuple(f"1.{minor}.1-gke.1829001" for minor in (33, 34, 35, 36))
WINDOW = "maintenancePolicy.recurringWindow"


class Cluster(GoogleKind):
    """An Autopilot cluster; other clusters are not simulated."""

    title = "cluster"
    module = "container"
    api = "container"
    labelled = "resourceLabels"
    # terraform-provider-google keeps the id of a cluster since 5.0 (resource_container_cluster.go, create), and clears
    # the id of the other types here, a database server's too (resource_sql_database_instance.go, create).
    kept_on_timeout = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(
            r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
            "1 to 40 lower-case letters, digits and dashes, starting with a letter, not ending with a dash",
        ),
        "location": matches(REGION_PATTERN, "a region: Autopilot needs several zones"),
        "minMasterVersion": matches(r"latest|1\.[0-9]+(\.[0-9]+(-gke\.[0-9]+)?)?", "a version, such as 1.34"),
        "releaseChannel.channel": one_of("UNSPECIFIED", "RAPID", "REGULAR", "STABLE", "EXTENDED"),
        f"{WINDOW}.startTime": TIME,
        f"{WINDOW}.endTime": TIME,
        f"{WINDOW}.recurrence": matches(r"FREQ=(DAILY|WEEKLY)(;.*)?", "a recurrence of RFC 5545"),
        "masterAuthorizedNetworksConfig.cidrBlocks.cidrBlock": RANGE,
    }
    required = ("location",)
    not_simulated = ("nodeConfig", "nodePools", "initialNodeCount")
    replaces = (
        "name", "location", "description", "enableAutopilot", "network", "subnetwork", "project",
        "ipAllocationPolicy", "privateClusterConfig.masterIpv4CidrBlock",
    )  # fmt: skip
    secret_outputs = frozenset({"masterAuth"})  # it holds a client's key
    filled_in = ("masterAuth", "nodeVersion", "clusterIpv4Cidr")
    references: ClassVar[Mapping[str, str]] = {"subnetwork": "Subnetwork"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/locations/{inputs['location']}/clusters/{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if not inputs.get("enableAutopilot"):
            found.append(Failure("enableAutopilot", "must be true: other clusters are not simulated."))
        window = (inputs.get("maintenancePolicy") or {}).get("recurringWindow")
        if window:
            found += window_failures(window)
        policy = inputs.get("ipAllocationPolicy") or {}
        for kind in ("cluster", "services"):
            if policy.get(f"{kind}SecondaryRangeName") and policy.get(f"{kind}Ipv4CidrBlock"):
                found.append(Failure(f"ipAllocationPolicy.{kind}Ipv4CidrBlock", "conflicts with the secondary range."))
        return found

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        (email,) = values_at(inputs, "clusterAutoscaling.autoProvisioningDefaults.serviceAccount") or ["default"]
        known = [each.outputs.get("email") for each in self.account.records("Account")]
        if email not in ("default", *known):
            raise ApiError(f"400 the service account {email} does not exist")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        version = self._version(inputs)
        ranges = self._ranges(inputs)
        self.engine.info(
            f"simulated: GKE Autopilot {version} is the lab's Kubernetes, which has one node; nothing adds nodes,"
            " and requests below Autopilot's minimum are raised"
        )
        return {
            "selfLink": LINK + id,
            # Port 443, as Google's: there, the Service `kubernetes` is the lab's API server.
            "endpoint": self.account.lab.kubernetes_service,
            "masterAuth": {
                "clusterCaCertificate": certificate_authority(self.account.lab),
                "clientCertificate": "",
                "clientKey": "",
            },
            "masterVersion": version,
            "nodeVersion": version,
            "labelFingerprint": numeric_id(8),
            "clusterIpv4Cidr": ranges.get("clusterSecondaryRangeName", "10.4.0.0/14"),
            "servicesIpv4Cidr": ranges.get("servicesSecondaryRangeName", "34.118.224.0/20"),
        }

    def _ranges(self, inputs: Properties) -> dict[str, str]:
        """Return the named secondary ranges. Raises ApiError if network, subnetwork and ranges do not fit."""
        policy = inputs.get("ipAllocationPolicy") or {}
        names = {key: name for key, name in policy.items() if key.endswith("SecondaryRangeName")}
        if not inputs.get("subnetwork"):
            return {}
        subnetwork = self.existing("Subnetwork", inputs["subnetwork"])
        if self.plain_id(inputs.get("network", "")) != self.plain_id(subnetwork.inputs["network"]):
            raise ApiError(f"400 the subnetwork {subnetwork.id} is not of the cluster's network")
        if subnetwork.inputs.get("region") != inputs["location"]:
            raise ApiError(f"400 the subnetwork is in {subnetwork.inputs.get('region')}, not in {inputs['location']}")
        known = {each["rangeName"]: each["ipCidrRange"] for each in subnetwork.inputs.get("secondaryIpRanges") or []}
        others = [each for each in self.account.records(self.type, subnetwork=subnetwork.id) if each.ready]
        taken = [
            name for each in others for name in values_at(each.inputs, "ipAllocationPolicy.servicesSecondaryRangeName")
        ]
        for name in names.values():
            if name not in known:
                raise ApiError(f"400 the subnetwork {subnetwork.id} has no secondary range {name!r}")
            if name in taken:
                raise ApiError(f"400 the secondary range {name!r} is in use by another cluster")
        return {key: known[name] for key, name in names.items()}

    @staticmethod
    def _version(inputs: Properties) -> str:
        """Return the version on offer for the one asked for, which may be short. Raises ApiError if there is none."""
        wanted = str(inputs.get("minMasterVersion") or "1.34")
        numbers = version_numbers(wanted)
        fitting = [each for each in OFFERED if version_numbers(each)[: len(numbers)] == numbers]
        if wanted == "latest":
            return OFFERED[-1]
        if not fitting:
            raise ApiError(f'400 Master version "{wanted}" is unsupported.')
        return fitting[-1]

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        """Update in place. `minMasterVersion` is a minimum, so an older version changes nothing."""
        if record.inputs.get("minMasterVersion") == new.get("minMasterVersion"):
            return {}  # not asked for again
        version = max(record.outputs["masterVersion"], self._version(new), key=version_numbers)
        return {"masterVersion": version, "nodeVersion": version}

    @override
    def delete(self, record: Record) -> None:
        super().delete(record)
        if record.inputs.get("deletionProtection", True):
            raise ApiError("cannot destroy cluster without setting deletion_protection=false and running `pulumi up`")


def version_numbers(version: str) -> list[int]:
    """Return the numbers in a version, for comparison."""
    return [int(number) for number in re.findall(r"[0-9]+", version)]


def window_failures(window: Properties) -> list[Failure]:
    """Return what GKE would refuse about a maintenance window."""
    opens, closes = (datetime.fromisoformat(window[key]) for key in ("startTime", "endTime"))
    hours = (closes - opens).total_seconds() / 3600
    if hours < MINIMUM_WINDOW_HOURS:
        return [Failure(f"{WINDOW}.endTime", f"leaves {hours:.0f} hours; the minimum is {MINIMUM_WINDOW_HOURS}.")]
    recurrences = RECURRENCES[re.split("[=;]", window["recurrence"])[1]]
    if (total := recurrences * hours) < MINIMUM_HOURS_IN_32_DAYS:
        return [Failure(WINDOW, f"leaves {total:.0f} hours in 32 days; the minimum is {MINIMUM_HOURS_IN_32_DAYS}.")]
    return []
