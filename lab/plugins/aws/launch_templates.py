"""Launch templates: how instances are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, tag_faults
from lab.plugins.declared import Property
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

INSTANCE_TYPE = Property(
    str, pattern=r"[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?)",
    rule="an instance type, such as t3.small",
)  # fmt: skip
ON_OR_OFF = frozenset({"true", "false"})
VOLUMES = frozenset({"standard", "gp2", "gp3", "io1", "io2", "sc1", "st1"})
TAGGED = frozenset({"instance", "volume", "network-interface", "elastic-gpu", "spot-instances-request"})


class LaunchTemplate(AwsKind):
    """A template; each change of it is a new version."""

    module = "ec2"
    service = "ec2"
    title = "launch template"
    prefix = "lt"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"[A-Za-z0-9().\-/_]{3,128}", rule="3 to 128 letters, digits and ()./_-"
        ),
        "description": Property(str, pattern=r"(?s).{0,255}", rule="255 characters at most"),
        "instanceType": INSTANCE_TYPE,
        "imageId": Property(str, pattern="ami-[0-9a-f]{8,17}", rule="an image's id (ami-…)"),
        "blockDeviceMappings": Property(
            list,
            inner={
                "deviceName": Property(str),
                "ebs": Property(
                    dict,
                    inner={
                        "volumeType": Property(str, values=VOLUMES),
                        "volumeSize": Property(int, values=frozenset(range(1, 16385))),
                        "encrypted": Property(str, values=ON_OR_OFF),
                        "deleteOnTermination": Property(str, values=ON_OR_OFF),
                        "iops": Property(int),
                        "throughput": Property(int),
                        "kmsKeyId": Property(str),
                    },
                ),
            },
        ),
        "metadataOptions": Property(
            dict,
            inner={
                "httpEndpoint": Property(str, values=frozenset({"enabled", "disabled"})),
                "httpTokens": Property(str, values=frozenset({"optional", "required"})),
                "httpPutResponseHopLimit": Property(int, values=frozenset(range(1, 65))),
                "instanceMetadataTags": Property(str, values=frozenset({"enabled", "disabled"})),
            },
        ),
        "tagSpecifications": Property(
            list, inner={"resourceType": Property(str, values=TAGGED), "tags": Property(dict, each=str)}
        ),
        "vpcSecurityGroupIds": Property(list, each=str),
        "userData": Property(str),
        "ebsOptimized": Property(str, values=ON_OR_OFF),
        "updateDefaultVersion": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "defaultVersion", "latestVersion")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for each in inputs.get("tagSpecifications") or []:
            found += tag_faults(each.get("tags") or {})
        return found

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {"arn": self.arn(inputs, f"launch-template/{id}"), "defaultVersion": 1, "latestVersion": 1}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        besides = {"tags", "tagsAll", "updateDefaultVersion"}
        latest = record.outputs["latestVersion"]
        if any(record.inputs.get(name) != new.get(name) for name in self.properties.keys() - besides):
            latest += 1
        default = latest if new.get("updateDefaultVersion") else record.outputs["defaultVersion"]
        return {"defaultVersion": default, "latestVersion": latest}
