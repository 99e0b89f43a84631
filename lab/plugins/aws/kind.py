"""What the resource types of AWS have in common: ids, ARNs, regions, tags, and policies in JSON."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import NUMBER, REGIONS
from lab.plugins.declared import Property
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

REGION = Property(str, replaces=True, values=REGIONS)
TAGS = Property(dict, each=str)
MOST_TAGS = 50
_TAG = re.compile(r"[\w\s.:/=+@-]*")
CIDR = r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}"
CIDR_RULE = "a range in CIDR form, such as 10.0.0.0/16"


def id_property(prefix: str, required: bool = False, replaces: bool = False) -> Property:
    """An input that names another resource by an id of AWS's making (``vpc-0123456789abcdef0``)."""
    rule = f"an id, {prefix}- and 17 hexadecimal digits"
    return Property(str, required=required, replaces=replaces, pattern=rf"{prefix}-[0-9a-f]{{17}}", rule=rule)


def arn_property(service: str, required: bool = False, replaces: bool = False) -> Property:
    """An input that is an ARN of a service."""
    rule = f"an ARN of {service}"
    return Property(str, required=required, replaces=replaces, pattern=rf"arn:aws:{service}:[^:]*:.+", rule=rule)


class AwsKind(Kind):
    """A type of AWS's."""

    prefix: ClassVar[str] = ""
    """What its ids begin with, for those whose ids AWS makes up."""
    service: ClassVar[str]
    """The service in its ARN."""
    autonamed = False
    unique_name = False
    # terraform-provider-aws sets the id before it waits, and leaves it: internal/service/eks/cluster.go,
    # eks/node_group.go, rds/instance.go.
    kept_on_timeout = True

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{self.prefix}-0{secrets.token_hex(8)}" if self.prefix else inputs[self.name_property]

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return tag_faults(inputs.get("tags") or {})

    def arn(self, inputs: Properties, resource: str) -> str:
        """The ARN of something of this type; IAM's belong to no region."""
        return f"arn:aws:{self.service}:{inputs.get('region', '')}:{NUMBER}:{resource}"

    def others(self, kind: str, **inputs: str) -> list[Record]:
        """Resources of a type that have these inputs."""
        return [
            each
            for each in self.account.records()
            if each.type == kind and all(each.inputs.get(name) == value for name, value in inputs.items())
        ]

    def named(self, kind: str, name: str) -> Record:
        """The resource of a type with that name, or ARN. Raises Refused."""
        for each in self.account.records():
            if each.type == kind and name in (each.id, each.inputs.get("name"), each.outputs.get("arn")):
                return each
        raise Refused(f"404 NotFound: the account has no {kind} {name!r}")

    def zones_of(self, subnets: Sequence[str]) -> set[str]:
        """The zones that subnets are in. Raises Refused where there is no such subnet."""
        return {self.existing("Subnet", each).outputs["availabilityZone"] for each in subnets}

    def network_of(self, subnets: Sequence[str]) -> str:
        """The VPC that subnets are in. Raises Refused where they are not in the same one."""
        found = {self.existing("Subnet", each).inputs["vpcId"] for each in subnets}
        if len(found) != 1:
            raise Refused(f"400 InvalidParameterValue: the subnets are in {len(found)} VPCs, and must be in one")
        return found.pop()

    def refuse_while(self, users: Sequence[Record], what: str) -> None:
        """Raise Refused while something uses it."""
        if users:
            names = ", ".join(f"{each.type} {each.id}" for each in users)
            raise Refused(f"400 DependencyViolation: {what} has a dependent object: {names}")


def tag_faults(tags: Mapping[str, Any]) -> list[Failure]:
    """Tags that AWS would refuse (tag naming limits and requirements)."""
    found = [Failure("tags", f"has {len(tags)} tags; {MOST_TAGS} are the most.")] if len(tags) > MOST_TAGS else []
    for key, value in tags.items():
        text = str(value)
        if not 1 <= len(key) <= 128 or len(text) > 256 or not _TAG.fullmatch(key) or not _TAG.fullmatch(text):
            found.append(
                Failure(
                    f'tags["{key}"]', "letters, digits, spaces and _.:/=+-@ only; 128 in the key, 256 in the value."
                )
            )
        elif key.lower().startswith("aws:"):
            found.append(Failure(f'tags["{key}"]', "begins with aws:, which is AWS's own."))
    return found


def json_faults(inputs: Properties, *names: str) -> list[Failure]:
    """Inputs that must be JSON objects and are not."""
    found: list[Failure] = []
    for name in names:
        try:
            good = inputs.get(name) is None or isinstance(json.loads(inputs[name]), dict)
        except ValueError:
            good = False
        if not good:
            found.append(Failure(name, "is no JSON object."))
    return found


def statements(policy: str) -> list[dict[str, Any]]:
    """The statements of an IAM policy."""
    found: Any = json.loads(policy).get("Statement", [])
    return found if isinstance(found, list) else [found]
