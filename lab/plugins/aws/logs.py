"""Log groups. Nothing is written to them here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lab.plugins.aws.kind import AwsKind
from lab.plugins.rules import Rule, matches, one_of

# API reference, PutRetentionPolicy; 0 is for ever.
DAYS = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


class LogGroup(AwsKind):
    """A log group."""

    module = "cloudwatch"
    title = "log group"
    arn = "logs:log-group:{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(r"(?!aws/)[.\-_/#A-Za-z0-9]{1,512}", "at most 512 letters, digits and .-_/#"),
        "retentionInDays": one_of(*DAYS),
    }
    replaces = ("name", "logGroupClass", "region")
