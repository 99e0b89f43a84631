"""The simulated provider `aws` 7.51.1: its types, functions, regions, tags and credentials."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from typing_extensions import override

from lab.plugins.aws.access import AccessEntry, AccessPolicyAssociation, caller_admitted
from lab.plugins.aws.account import CALLER_ROLE, CALLER_ROLE_NAME, NUMBER, REGIONS, missing_login, zones
from lab.plugins.aws.addons import Addon, recommended
from lab.plugins.aws.ecr import LifecyclePolicy, Repository
from lab.plugins.aws.eks import Cluster
from lab.plugins.aws.iam import OpenIdConnectProvider, Role, RolePolicyAttachment
from lab.plugins.aws.kms import Alias, Key
from lab.plugins.aws.launch_templates import LaunchTemplate
from lab.plugins.aws.logs import LogGroup
from lab.plugins.aws.network import Eip, InternetGateway, NatGateway, Subnet, Vpc, VpcEndpoint
from lab.plugins.aws.nodes import NodeGroup
from lab.plugins.aws.rds import Instance
from lab.plugins.aws.rds_groups import ParameterGroup, SubnetGroup
from lab.plugins.aws.route53 import BALANCERS, Record
from lab.plugins.aws.routes import RouteTable, RouteTableAssociation
from lab.plugins.aws.security_groups import SecurityGroup, SecurityGroupIngressRule
from lab.plugins.aws.versions import DEFAULTS, KUBERNETES, actual, offered, targets
from lab.plugins.kind import ApiError, Kind
from lab.plugins.properties import UNKNOWN, Properties, contains_unknown, plain
from lab.plugins.provider import Checked, Failure, Resource
from lab.plugins.simulated import Function, SimulatedCloud
from lab.plugins.times import timestamp

KINDS: tuple[type[Kind], ...] = (
    Vpc, Subnet, InternetGateway, Eip, NatGateway, RouteTable, RouteTableAssociation, VpcEndpoint,
    SecurityGroup, SecurityGroupIngressRule, LaunchTemplate,
    Role, RolePolicyAttachment, OpenIdConnectProvider, Key, Alias, LogGroup,
    Cluster, NodeGroup, Addon, AccessEntry, AccessPolicyAssociation, Repository, LifecyclePolicy,
    Instance, SubnetGroup, ParameterGroup, Record,
)  # fmt: skip
TOKEN_LIFE = timedelta(hours=12)
#: Some of DescribeSubnets' filters, each with the property that it compares.
SUBNET_FILTERS = {"vpc-id": "vpcId", "cidr-block": "cidrBlock", "availability-zone": "availabilityZone"}
USER = "AWS"


class Aws(SimulatedCloud):
    """What `components/aws` needs of AWS."""

    name = "aws"
    version = "7.51.1"
    title = "AWS"
    kinds = KINDS

    @override
    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        region = new.get("region")
        if region is None:
            return Checked(new, [Failure("region", "is missing; the simulation reads it from nowhere else.")])
        if not contains_unknown(region) and region not in REGIONS:
            known = ", ".join(sorted(REGIONS))
            return Checked(new, [Failure("region", f"is {region!r}, and must be one of {known}.")])
        allowed = new.get("allowedAccountIds")
        if allowed and not contains_unknown(allowed) and NUMBER not in allowed:
            return Checked(new, [Failure("allowedAccountIds", f"AWS account ID not allowed: {NUMBER}")])
        return Checked(new)

    @override
    def missing_credentials(self) -> str:
        reason = missing_login()
        return f"403 {reason}" if reason else ""

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        """Add region and tags first, as the provider does, so that a change of either changes the resource."""
        schema = self._kind(resource).schema
        given = {name: value for name, value in new.items() if name != "tagsAll"}
        if "region" in schema.inputs and given.get("region") is None:
            given["region"] = self.configuration["region"]
        checked = super().check(resource, old, given)
        if "tagsAll" in schema.outputs:
            checked.inputs["tagsAll"] = self._all_tags(checked.inputs.get("tags"))
        return checked

    def _all_tags(self, tags: Any) -> Any:
        if contains_unknown(tags):
            return UNKNOWN
        given: Any = self.configuration.get("defaultTags") or {}
        default = json.loads(given) if isinstance(given, str) else given
        return {**(default.get("tags") or {}), **(plain(tags) or {})}

    def _region(self, given: Properties) -> Properties:
        region = given.get("region") or self.configuration["region"]
        return {"id": region, "region": region}

    def _availability_zones(self, given: Properties) -> Properties:
        """Answer as DescribeAvailabilityZones; there are no local zones, which an account must opt in to."""
        own = self._region(given)
        known = zones(own["region"])
        for each in given.get("filters") or []:
            known = _filtered(known, own["region"], each["name"], each["values"])
        excluded = {*(given.get("excludeZoneIds") or []), *(given.get("excludeNames") or [])}
        known = {name: id for name, id in known.items() if not excluded & {name, id}}
        return {**own, "groupNames": [own["region"]], "names": list(known), "zoneIds": list(known.values())}

    def _addon_version(self, given: Properties) -> Properties:
        return {**self._region(given), "version": recommended(given["addonName"], given["kubernetesVersion"])}

    def _balancers_zone(self, given: Properties) -> Properties:
        if given.get("loadBalancerType") != "network":
            raise ApiError("only Network Load Balancers are simulated")
        return {**self._region(given), "id": BALANCERS, "loadBalancerType": "network"}

    def _authorization_token(self, given: Properties) -> Properties:
        """Return a login for pushes, a new one each time."""
        password = secrets.token_urlsafe(48)
        return {
            **self._region(given),
            "authorizationToken": base64.b64encode(f"{USER}:{password}".encode()).decode(),
            "expiresAt": timestamp(TOKEN_LIFE),
            "password": password,
            "proxyEndpoint": f"https://{self.account.lab.registry}",
            "registryId": given.get("registryId", NUMBER),
            "userName": USER,
        }

    def _cluster_versions(self, given: Properties) -> Properties:
        today = datetime.now(UTC).date().isoformat()
        versions = [
            {
                "clusterVersion": version,
                "endOfStandardSupportDate": f"{end}T00:00:00Z",
                "versionStatus": "STANDARD_SUPPORT" if end > today else "EXTENDED_SUPPORT",
            }
            for version, end in KUBERNETES.items()
        ]
        return {**self._region(given), "clusterVersions": versions}

    def _clusters(self, given: Properties) -> Properties:
        own = self._region(given)
        names = [each.id for each in self.account.records("Cluster", region=own["region"])]
        return {**own, "names": names}

    def _cluster(self, given: Properties) -> Properties:
        """Answer as the provider does, which has lists where the resource has single objects."""
        own = self._region(given)
        found = self.account.get("Cluster", given["name"])
        if found is None or found.inputs.get("region") != own["region"]:
            raise ApiError(f"404 ResourceNotFoundException: no cluster found for name: {given['name']}")
        outputs = found.outputs
        return {
            **own,
            "id": found.id,
            "arn": outputs["arn"],
            "version": found.inputs.get("version", ""),
            # The API does not return whether the creator became an administrator.
            "accessConfigs": [{**outputs["accessConfig"], "bootstrapClusterCreatorAdminPermissions": False}],
            "certificateAuthorities": [outputs["certificateAuthority"]],
            "endpoint": outputs["endpoint"],
            "identities": outputs["identities"],
            "status": outputs["status"],
            "vpcConfig": outputs["vpcConfig"],
        }

    def _subnets(self, given: Properties) -> Properties:
        """Answer with the ids that match every filter; a VPC that does not exist has none."""
        own, known = self._region(given), self.account.records("Subnet")
        known = [each for each in known if each.inputs["region"] == own["region"]]
        for each in given.get("filters") or []:
            if each["name"] not in SUBNET_FILTERS:
                raise ApiError(f"400 InvalidParameterValue: the filter {each['name']!r} is invalid")
            name = SUBNET_FILTERS[each["name"]]
            known = [record for record in known if {**record.inputs, **record.outputs}[name] in each["values"]]
        return {**own, "ids": [each.id for each in known]}

    def _subnet(self, given: Properties) -> Properties:
        own = self._region(given)
        found = self.account.get("Subnet", given["id"])
        if found is None or found.inputs["region"] != own["region"]:
            raise ApiError(f"reading EC2 Subnet ({given['id']}): no matching EC2 Subnet found")
        return {**own, **found.inputs, **found.outputs, "id": found.id}

    def _access_entry(self, given: Properties) -> Properties:
        """Answer with an entry's tags; EKS' own entry of a cluster's creator has none."""
        cluster, principal = given["clusterName"], given["principalArn"]
        entries = self.account.records("AccessEntry", clusterName=cluster, principalArn=principal)
        if not entries and not (principal == CALLER_ROLE and caller_admitted(self.account, cluster)):
            raise ApiError(f"reading EKS Access Entry ({cluster}:{principal}): couldn't find resource")
        tags = entries[0].inputs.get("tagsAll") or {} if entries else {}
        return {**self._region(given), "tags": tags, "tagsAll": tags}

    def _instances(self, given: Properties) -> Properties:
        own = self._region(given)
        wanted = {value for each in given.get("filters") or [] for value in each["values"]}
        names = [each.inputs["identifier"] for each in self.account.records("Instance", region=own["region"])]
        found = [name for name in names if name in wanted or not wanted]
        return {**own, "instanceIdentifiers": found, "instanceArns": []}

    def _instance(self, given: Properties) -> Properties:
        name = given["dbInstanceIdentifier"]
        found = self.account.records("Instance", identifier=name)
        if not found:
            raise ApiError(f"404 DBInstanceNotFound: DBInstance {name} not found")
        return {**self._region(given), "engineVersion": found[0].outputs.get("engineVersionActual", "")}

    def _engine_version(self, given: Properties) -> Properties:
        version = DEFAULTS.get(given["version"], "") if given.get("defaultOnly") else given["version"]
        if given["engine"] != "postgres" or not offered(version):
            raise ApiError(f"no RDS engine versions found: {given['engine']} {given['version']}")
        others = targets(actual(version))
        major = version.partition(".")[0]
        return {
            **self._region(given),
            "version": version,
            "versionActual": version,
            "validUpgradeTargets": others,
            "validMinorTargets": [each for each in others if each.partition(".")[0] == major],
            "validMajorTargets": [each for each in others if each.partition(".")[0] != major],
        }

    def _session_context(self, given: Properties) -> Properties:
        """Answer as the provider does, which reads the role to find its path."""
        session = f":assumed-role/{CALLER_ROLE_NAME}/" in given["arn"]
        return {"id": given["arn"], "issuerArn": CALLER_ROLE if session else given["arn"]}

    functions: ClassVar[Mapping[str, Function]] = {
        "aws:eks/getClusterVersions:getClusterVersions": _cluster_versions,
        "aws:eks/getClusters:getClusters": _clusters,
        "aws:eks/getCluster:getCluster": _cluster,
        "aws:eks/getAccessEntry:getAccessEntry": _access_entry,
        "aws:rds/getInstances:getInstances": _instances,
        "aws:rds/getInstance:getInstance": _instance,
        "aws:rds/getEngineVersion:getEngineVersion": _engine_version,
        "aws:iam/getSessionContext:getSessionContext": _session_context,
        "aws:index/getAvailabilityZones:getAvailabilityZones": _availability_zones,
        "aws:ec2/getSubnets:getSubnets": _subnets,
        "aws:ec2/getSubnet:getSubnet": _subnet,
        "aws:eks/getAddonVersion:getAddonVersion": _addon_version,
        "aws:lb/getHostedZoneId:getHostedZoneId": _balancers_zone,
        "aws:ecr/getAuthorizationToken:getAuthorizationToken": _authorization_token,
    }


def _filtered(known: dict[str, str], region: str, name: str, values: list[str]) -> dict[str, str]:
    fixed = {"zone-type": "availability-zone", "opt-in-status": "opt-in-not-required", "state": "available"}
    fixed["region-name"] = region
    if name in fixed:
        return known if fixed[name] in values else {}
    if name in ("zone-name", "zone-id"):
        return {zone: id for zone, id in known.items() if (zone if name == "zone-name" else id) in values}
    raise ApiError(f"400 InvalidParameterValue: the filter {name!r} is invalid")
