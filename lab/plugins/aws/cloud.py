"""The simulated provider `aws` 7.51.1: its kinds, its functions, its regions and tags, and how it is logged in to."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from typing_extensions import override

from lab.plugins.aws.access import AccessEntry, AccessPolicyAssociation
from lab.plugins.aws.account import NUMBER, REGIONS, no_login
from lab.plugins.aws.addons import Addon
from lab.plugins.aws.ecr import LifecyclePolicy, Repository
from lab.plugins.aws.eks import Cluster
from lab.plugins.aws.functions import FUNCTIONS
from lab.plugins.aws.iam import OpenIdConnectProvider, Role, RolePolicy, RolePolicyAttachment
from lab.plugins.aws.kms import Alias, Key
from lab.plugins.aws.launch_templates import LaunchTemplate
from lab.plugins.aws.logs import LogGroup
from lab.plugins.aws.network import Eip, InternetGateway, NatGateway, Subnet, Vpc
from lab.plugins.aws.nodes import NodeGroup
from lab.plugins.aws.rds import Instance
from lab.plugins.aws.rds_groups import ParameterGroup, SubnetGroup
from lab.plugins.aws.routes import RouteTable, RouteTableAssociation
from lab.plugins.aws.security_groups import SecurityGroup, SecurityGroupIngressRule
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import UNKNOWN, Properties, contains_unknown, plain
from lab.plugins.provider import Checked, Failure, ProviderError, Resource
from lab.plugins.simulated import SimulatedCloud


class Aws(SimulatedCloud):
    """What `components/aws` asks of AWS."""

    name = "aws"
    version = "7.51.1"
    title = "AWS"
    kinds: ClassVar[tuple[type[Kind], ...]] = (
        Vpc, Subnet, InternetGateway, Eip, NatGateway, RouteTable, RouteTableAssociation,
        SecurityGroup, SecurityGroupIngressRule, LaunchTemplate,
        Role, RolePolicy, RolePolicyAttachment, OpenIdConnectProvider, Key, Alias, LogGroup,
        Cluster, NodeGroup, Addon, AccessEntry, AccessPolicyAssociation, Repository, LifecyclePolicy,
        Instance, SubnetGroup, ParameterGroup,
    )  # fmt: skip

    @override
    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        region = new.get("region")
        if region is None:
            return Checked(new, [Failure("region", "is missing; this simulation takes it from nowhere else.")])
        if not contains_unknown(region) and region not in REGIONS:
            known = ", ".join(sorted(REGIONS))
            return Checked(new, [Failure("region", f"is {region!r}, and must be one of {known}.")])
        allowed = new.get("allowedAccountIds")
        if allowed and not contains_unknown(allowed) and NUMBER not in allowed:
            return Checked(new, [Failure("allowedAccountIds", f"AWS account ID not allowed: {NUMBER}")])
        return Checked(new)

    @override
    def no_credentials(self) -> str:
        reason = no_login()
        return f"403 {reason}" if reason else ""

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        """The provider puts region and tags in before all else, so that a change of either is one of the resource."""
        properties = self._kind(resource).properties
        given = {name: value for name, value in new.items() if name != "tagsAll"}
        if "region" in properties and given.get("region") is None:
            given["region"] = self.configuration["region"]
        checked = super().check(resource, old, given)
        if "tags" in properties:
            checked.inputs["tagsAll"] = self._all_tags(checked.inputs.get("tags"))
        return checked

    def _all_tags(self, tags: Any) -> Any:
        if contains_unknown(tags):
            return UNKNOWN
        given: Any = self.configuration.get("defaultTags") or {}
        default = json.loads(given) if isinstance(given, str) else given
        return {**(default.get("tags") or {}), **(plain(tags) or {})}

    @override
    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        if function not in FUNCTIONS:
            raise ProviderError(f"the simulated AWS has no function {function}; it has {', '.join(FUNCTIONS)}.")
        run, known, required, results = FUNCTIONS[function]
        given: Properties = plain(arguments)
        name = function.rpartition(":")[2]
        if strange := [each for each in given if each not in known]:
            raise ProviderError(f"{name}: {', '.join(strange)}: unknown; it knows {', '.join(known)} (simulated AWS)")
        if missing := [each for each in required if given.get(each) is None]:
            raise ProviderError(f"{name}: {', '.join(missing)}: required (simulated AWS)")
        if contains_unknown(arguments):
            return {**given, "id": UNKNOWN, **dict.fromkeys(results, UNKNOWN)}
        region = given.get("region") or self.configuration["region"]
        try:
            self.authenticate()
            return {**given, "id": region, "region": region, **run(self.account, region, given)}
        except Refused as fault:
            raise self._error(name, fault) from None
