"""Launch templates: how instances are created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.kind import AwsKind, tag_failures
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, at_most, between, matches, one_of

ON_OR_OFF = one_of("true", "false")


class LaunchTemplate(AwsKind):
    """A template; each change creates a new version."""

    module = "ec2"
    title = "launch template"
    prefix = "lt"
    arn = "ec2:launch-template/{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(r"[A-Za-z0-9().\-/_]{3,128}", "3 to 128 letters, digits and ()./_-"),
        "description": at_most(255),
        "instanceType": matches(
            r"[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?)",
            "an instance type, such as t3.small",
        ),
        "blockDeviceMappings.ebs.volumeType": one_of("standard", "gp2", "gp3", "io1", "io2", "sc1", "st1"),
        "blockDeviceMappings.ebs.volumeSize": between(1, 16384),
        "blockDeviceMappings.ebs.encrypted": ON_OR_OFF,
        "blockDeviceMappings.ebs.deleteOnTermination": ON_OR_OFF,
        "metadataOptions.httpEndpoint": one_of("enabled", "disabled"),
        "metadataOptions.httpTokens": one_of("optional", "required"),
        "metadataOptions.httpPutResponseHopLimit": between(1, 64),
        "tagSpecifications.resourceType": one_of(
            "instance", "volume", "network-interface", "elastic-gpu", "spot-instances-request"
        ),
    }
    replaces = ("name", "region")
    filled_in = ("defaultVersion",)

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for each in inputs.get("tagSpecifications") or []:
            found += tag_failures(each.get("tags") or {})
        return found

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {**super().create(id, inputs), "defaultVersion": 1, "latestVersion": 1}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        outside = {"tags", "updateDefaultVersion"}
        latest = record.outputs["latestVersion"]
        if any(record.inputs.get(name) != new.get(name) for name in self.schema.inputs.keys() - outside):
            latest += 1
        default = latest if new.get("updateDefaultVersion") else record.outputs["defaultVersion"]
        return {"defaultVersion": default, "latestVersion": latest}
