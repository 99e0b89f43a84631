"""What AWS's resource types have in common: ids, ARNs, regions, tags, and policies in JSON."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import NUMBER, REGIONS
from lab.plugins.kind import ApiError, Kind
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

MAXIMUM_TAGS = 50
_TAG = re.compile(r"[\w\s.:/=+@-]*")
CIDR = matches(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}", "a range in CIDR form, such as 10.0.0.0/16")


def id_of(prefix: str) -> Rule:
    """Return a rule for an input that holds an id of AWS's making (``vpc-0123456789abcdef0``)."""
    return matches(rf"{prefix}-[0-9a-f]{{17}}", f"an id, {prefix}- and 17 hexadecimal digits")


def arn_of(service: str) -> Rule:
    """Return a rule for an input that holds an ARN of a service."""
    return matches(rf"arn:aws:{service}:[^:]*:.+", f"an ARN of {service}")


class AwsKind(Kind):
    """A type of AWS's."""

    package = "pulumi_aws"
    common_rules: ClassVar[Mapping[str, Rule]] = {
        "region": one_of(*REGIONS),
        "vpcId": id_of("vpc"),
        "subnetId": id_of("subnet"),
    }
    prefix: ClassVar[str] = ""
    """What its ids begin with, if AWS makes them up."""
    arn: ClassVar[str] = ""
    """Service and resource in its ARN (``ec2:vpc/{id}``), "" if it has none."""
    json_inputs: ClassVar[tuple[str, ...]] = ()
    """Inputs that must be JSON objects."""
    autonamed = False
    unique_name = False
    in_use = "400 DependencyViolation: the {title} '{id}' has a dependent object: {users}"
    # terraform-provider-aws sets the id before it waits, and keeps it: internal/service/eks/cluster.go,
    # eks/node_group.go, rds/instance.go.
    kept_on_timeout = True

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{self.prefix}-0{secrets.token_hex(8)}" if self.prefix else inputs[self.name_property]

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = tag_failures(inputs.get("tags") or {})
        return found + [
            Failure(name, "is not a JSON object.") for name in self.json_inputs if not _is_json(inputs.get(name))
        ]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        """Return the ARN and the owner, if the type has them; most types have little else."""
        own = {"ownerId": NUMBER} if "ownerId" in self.schema.outputs else {}
        return {**own, "arn": self.arn_for(id, inputs)} if self.arn else own

    def arn_for(self, id: str, inputs: Properties) -> str:
        """Return the ARN of a resource of this type; IAM's belong to no region."""
        service, _, resource = self.arn.partition(":")
        return f"arn:aws:{service}:{inputs.get('region', '')}:{NUMBER}:{resource.format(id=id, **inputs)}"

    def named(self, kind: str, name: str) -> Record:
        """Return the resource of a type with that id, name or ARN. Raises ApiError."""
        for each in self.account.records(kind):
            if name in (each.id, each.inputs.get("name"), each.outputs.get("arn")):
                return each
        raise ApiError(f"404 NotFound: the account has no {kind} {name!r}")

    def zones_of(self, subnets: Sequence[str]) -> set[str]:
        """Return the zones of subnets. Raises ApiError for an unknown subnet."""
        return {self.existing("Subnet", each).outputs["availabilityZone"] for each in subnets}

    def network_of(self, subnets: Sequence[str]) -> str:
        """Return the one VPC of all subnets. Raises ApiError if they are in several."""
        found = {self.existing("Subnet", each).inputs["vpcId"] for each in subnets}
        if len(found) != 1:
            raise ApiError(f"400 InvalidParameterValue: the subnets are in {len(found)} VPCs, and must be in one")
        return found.pop()


def tag_failures(tags: Mapping[str, Any]) -> list[Failure]:
    """Return tags that AWS would refuse (tag naming limits and requirements)."""
    count = len(tags)
    found = [Failure("tags", f"has {count} tags; at most {MAXIMUM_TAGS} are allowed.")] if count > MAXIMUM_TAGS else []
    for key, value in tags.items():
        text, path = str(value), f'tags["{key}"]'
        if not 1 <= len(key) <= 128 or len(text) > 256 or not _TAG.fullmatch(key) or not _TAG.fullmatch(text):
            allowed = "letters, digits, spaces and _.:/=+-@ only; 128 in the key, 256 in the value."
            found.append(Failure(path, allowed))
        elif key.lower().startswith("aws:"):
            found.append(Failure(path, "begins with aws:, which AWS reserves."))
    return found


def _is_json(text: Value) -> bool:
    try:
        return text is None or isinstance(json.loads(text), dict)
    except ValueError:
        return False


def statements(policy: str) -> list[dict[str, Any]]:
    """Return the statements of an IAM policy."""
    found: Any = json.loads(policy).get("Statement", [])
    return found if isinstance(found, list) else [found]
