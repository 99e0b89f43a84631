"""GKE clusters: the lab's own Kubernetes answers for every one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import yaml
from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.gcp.kind import COMPUTE_LINK, LABEL_OUTPUTS, GoogleKind, numeric_id
from lab.plugins.gcp.rules import (
    DELETION_POLICY,
    LABELS,
    NETWORK,
    PROJECT,
    RANGE_PATTERN,
    RANGE_RULE,
    REGION_PATTERN,
    SUBNETWORK_PATTERN,
)
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

LINK = "https://container.googleapis.com/v1/"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
#: GKE documentation, Maintenance windows: hours that a window has at least, and that windows have in 32 days.
LEAST_WINDOW_HOURS = 4
LEAST_HOURS_IN_32_DAYS = 48
#: Times that a recurrence comes round in 32 days at least.
ROUNDS = {"DAILY": 32, "WEEKLY": 4}
#: Patch and build of the versions that "run" here.
PATCH = "1-gke.1829001"

WINDOW = {
    "startTime": Property(str, required=True, pattern=TIME, rule="a time, such as 2024-01-07T03:00:00Z"),
    "endTime": Property(str, required=True, pattern=TIME, rule="a time, such as 2024-01-07T15:00:00Z"),
    "recurrence": Property(str, required=True, pattern=r"FREQ=(DAILY|WEEKLY)(;.*)?", rule="a recurrence of RFC 5545"),
}


class Cluster(GoogleKind):
    """An Autopilot cluster; other clusters are not simulated."""

    title = "cluster"
    module = "container"
    api = "container"
    labelled = "resourceLabels"
    # terraform-provider-google leaves the id of a cluster since 5.0 (resource_container_cluster.go, create), and clears
    # that of the other types here, a database server's too (resource_sql_database_instance.go, create).
    kept_on_timeout = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
            rule="1 to 40 lower-case letters, digits and dashes, the first a letter, the last no dash",
        ),
        "location": Property(
            str, required=True, replaces=True, pattern=REGION_PATTERN, rule="a region: Autopilot needs several zones"
        ),
        "description": Property(str, replaces=True),
        "enableAutopilot": Property(bool, replaces=True),
        "minMasterVersion": Property(
            str, pattern=r"latest|1\.[0-9]+(\.[0-9]+(-gke\.[0-9]+)?)?", rule="a version, such as 1.34",
        ),
        "releaseChannel": Property(
            dict,
            inner={
                "channel": Property(
                    str, required=True, values=frozenset({"UNSPECIFIED", "RAPID", "REGULAR", "STABLE", "EXTENDED"})
                )
            },
        ),
        "maintenancePolicy": Property(dict, inner={"recurringWindow": Property(dict, inner=WINDOW)}),
        "network": Property(str, replaces=True, pattern=NETWORK.pattern, rule=NETWORK.rule),
        "subnetwork": Property(str, replaces=True, pattern=SUBNETWORK_PATTERN, rule="the id of a subnetwork"),
        "ipAllocationPolicy": Property(
            dict,
            inner={
                "clusterSecondaryRangeName": Property(str, replaces=True),
                "servicesSecondaryRangeName": Property(str, replaces=True),
                "clusterIpv4CidrBlock": Property(str, replaces=True),
                "servicesIpv4CidrBlock": Property(str, replaces=True),
                "stackType": Property(str, replaces=True, values=frozenset({"IPV4", "IPV4_IPV6"})),
            },
        ),
        "privateClusterConfig": Property(
            dict,
            inner={
                "enablePrivateNodes": Property(bool),
                "enablePrivateEndpoint": Property(bool),
                "masterIpv4CidrBlock": Property(str, replaces=True, pattern=r"[0-9.]+/28", rule="a range /28"),
                "masterGlobalAccessConfig": Property(dict, inner={"enabled": Property(bool, required=True)}),
            },
        ),
        "masterAuthorizedNetworksConfig": Property(
            dict,
            inner={
                "cidrBlocks": Property(
                    list,
                    inner={
                        "cidrBlock": Property(str, required=True, pattern=RANGE_PATTERN, rule=RANGE_RULE),
                        "displayName": Property(str),
                    },
                ),
                "gcpPublicCidrsAccessEnabled": Property(bool),
                "privateEndpointEnforcementEnabled": Property(bool),
            },
        ),
        "clusterAutoscaling": Property(
            dict,
            inner={
                "autoProvisioningDefaults": Property(
                    dict, inner={"serviceAccount": Property(str), "oauthScopes": Property(list, each=str)}
                )
            },
        ),
        "resourceLabels": LABELS,
        "deletionProtection": Property(bool),
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }  # fmt: skip
    computed = (
        "endpoint", "labelFingerprint", "masterAuth", "masterVersion", "nodeVersion", "project", "selfLink",
        "servicesIpv4Cidr", "clusterIpv4Cidr", *LABEL_OUTPUTS,
    )  # fmt: skip
    secret = frozenset(LABEL_OUTPUTS)

    @override
    def identify(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/locations/{inputs['location']}/clusters/{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if not inputs.get("enableAutopilot"):
            found.append(Failure("enableAutopilot", "must be true: other clusters are not simulated."))
        window = (inputs.get("maintenancePolicy") or {}).get("recurringWindow")
        if window:
            found += window_faults(window)
        policy = inputs.get("ipAllocationPolicy") or {}
        for kind in ("cluster", "services"):
            if policy.get(f"{kind}SecondaryRangeName") and policy.get(f"{kind}Ipv4CidrBlock"):
                found.append(Failure(f"ipAllocationPolicy.{kind}Ipv4CidrBlock", "conflicts with the secondary range."))
        return found

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        ranges = self._ranges(inputs)
        self._check_account(inputs)
        self.engine.info(
            f"simulated: GKE Autopilot {self._version(inputs)} is the lab's Kubernetes of one"
            " node, with nothing that makes nodes, or changes what pods ask for"
        )
        return {
            "project": self.project(inputs),
            "selfLink": LINK + id,
            # Port 443, as Google's; the Service `kubernetes` is the lab's API server there.
            "endpoint": self.account.lab.kubernetes_service,
            "masterAuth": {"clusterCaCertificate": self._authority(), "clientCertificate": "", "clientKey": ""},
            "masterVersion": self._version(inputs),
            "nodeVersion": self._version(inputs),
            "labelFingerprint": numeric_id(8),
            "clusterIpv4Cidr": ranges.get("clusterSecondaryRangeName", "10.4.0.0/14"),
            "servicesIpv4Cidr": ranges.get("servicesSecondaryRangeName", "34.118.224.0/20"),
        }

    def _ranges(self, inputs: Properties) -> dict[str, str]:
        """The secondary ranges that are named. Raises Refused where network, subnetwork and ranges don't fit."""
        policy = inputs.get("ipAllocationPolicy") or {}
        names = {key: name for key, name in policy.items() if key.endswith("SecondaryRangeName")}
        if not inputs.get("subnetwork"):
            return {}
        subnetwork = self.existing("Subnetwork", inputs["subnetwork"])
        network = subnetwork.inputs["network"].removeprefix(COMPUTE_LINK)
        if inputs.get("network", "").removeprefix(COMPUTE_LINK) != network:
            raise Refused(f"400 the subnetwork {subnetwork.id} is not of the cluster's network")
        if subnetwork.inputs.get("region") != inputs["location"]:
            raise Refused(f"400 the subnetwork is in {subnetwork.inputs.get('region')}, not in {inputs['location']}")
        known = {each["rangeName"]: each["ipCidrRange"] for each in subnetwork.inputs.get("secondaryIpRanges") or []}
        for name in names.values():
            if name not in known:
                raise Refused(f"400 the subnetwork {subnetwork.id} has no secondary range {name!r}")
            others = [each for each in self.account.records() if each.type == self.type and each.made]
            if any(name == (each.inputs.get("ipAllocationPolicy") or {}).get("servicesSecondaryRangeName")
                   and each.inputs.get("subnetwork") == subnetwork.id for each in others):  # fmt: skip
                raise Refused(f"400 the secondary range {name!r} is in use by another cluster")
        return {key: known[name] for key, name in names.items()}

    def _check_account(self, inputs: Properties) -> None:
        defaults = (inputs.get("clusterAutoscaling") or {}).get("autoProvisioningDefaults") or {}
        email = defaults.get("serviceAccount", "default")
        known = [each.outputs.get("email") for each in self.account.records() if each.type == "Account"]
        if email not in ("default", *known):
            raise Refused(f"400 the service account {email} does not exist")

    def _authority(self) -> str:
        document: Any = yaml.safe_load(self.account.lab.kubeconfig.read_text(encoding="utf-8"))
        return document["clusters"][0]["cluster"]["certificate-authority-data"]

    @staticmethod
    def _version(inputs: Properties) -> str:
        wanted = str(inputs.get("minMasterVersion") or "1.34")
        numbers = re.findall(r"[0-9]+", wanted)
        return wanted if "-gke." in wanted else f"1.{numbers[1] if len(numbers) > 1 else 34}.{PATCH}"

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        """In place; an older version than what runs changes nothing, as it is the least that is asked for."""
        self._check_account(new)
        running, wanted = record.outputs["masterVersion"], self._version(new)
        version = max(running, wanted, key=lambda text: [int(number) for number in re.findall(r"[0-9]+", text)])
        return {**super().change(record, new), "masterVersion": version, "nodeVersion": version}

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        if record.inputs.get("deletionProtection", True):
            raise Refused("cannot destroy cluster without setting deletion_protection=false and running `pulumi up`")


def window_faults(window: Properties) -> list[Failure]:
    """A maintenance window that GKE would refuse."""
    path = "maintenancePolicy.recurringWindow"
    opens, closes = (datetime.fromisoformat(window[key]) for key in ("startTime", "endTime"))
    hours = (closes - opens).total_seconds() / 3600
    if hours < LEAST_WINDOW_HOURS:
        return [Failure(f"{path}.endTime", f"makes a window of {hours:.0f} hours; {LEAST_WINDOW_HOURS} are the least.")]
    rounds = ROUNDS[re.split("[=;]", window["recurrence"])[1]]
    if (total := rounds * hours) < LEAST_HOURS_IN_32_DAYS:
        return [Failure(path, f"leaves {total:.0f} hours in 32 days; {LEAST_HOURS_IN_32_DAYS} are the least.")]
    return []
