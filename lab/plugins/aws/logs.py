"""Log groups. Nothing is written to them here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.aws.kind import REGION, TAGS, AwsKind
from lab.plugins.declared import Property
from lab.plugins.properties import Properties

# The numbers of days that PutRetentionPolicy takes (API reference); 0 is for ever.
DAYS = frozenset(
    [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
)


class LogGroup(AwsKind):
    """A log group."""

    module = "cloudwatch"
    service = "logs"
    title = "log group"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"(?!aws/)[.\-_/#A-Za-z0-9]{1,512}", rule="at most 512 letters, digits, .-_/#"
        ),
        "retentionInDays": Property(int, values=DAYS),
        "kmsKeyId": Property(str),
        "logGroupClass": Property(str, replaces=True, values=frozenset({"STANDARD", "INFREQUENT_ACCESS", "DELIVERY"})),
        "skipDestroy": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "logGroupClass")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {
            "arn": self.arn(inputs, f"log-group:{id}"),
            "logGroupClass": inputs.get("logGroupClass", "STANDARD"),
        }
