"""Records in zones that the account has already."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.aws.kind import AwsKind
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

#: Zone of the names of Network Load Balancers, the same for every account of the region.
BALANCERS = "Z3F0SRJ5LGBH90"
ZONE = matches(r"Z[A-Z0-9]{1,31}", "the id of a hosted zone, such as Z0123456789ABC")


class Record(AwsKind):
    """An alias of a name for another host's addresses."""

    module = "route53"
    title = "DNS record"
    rules: ClassVar[Mapping[str, Rule]] = {"zoneId": ZONE, "type": one_of("A"), "aliases.zoneId": ZONE}
    required = ("aliases",)
    replaces = ("zoneId", "name", "type")

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['zoneId']}_{inputs['name']}_{inputs['type']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, alias in enumerate(inputs["aliases"]):
            try:
                ipaddress.ip_address(alias["name"])
            except ValueError:
                continue
            found.append(Failure(f"aliases[{index}].name", "is an IP address; an alias is for a host name."))
        return found

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"fqdn": inputs["name"]}
