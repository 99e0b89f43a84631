"""Log groups. Nothing is written to them here, but those of a service that still logs come back after a deletion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from lab.files import write
from lab.plugins.account import Account, Record
from lab.plugins.aws.kind import AwsKind
from lab.plugins.properties import Properties
from lab.plugins.rules import Rule, matches, one_of

# API reference, PutRetentionPolicy; 0 is for ever.
DAYS = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
#: Names of the log groups of clusters and database instances.
EKS_LOG, RDS_LOG = "/aws/eks/{}/cluster", "/aws/rds/instance/{}/{}"


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

    @override
    def remove_dependents(self, id: str) -> None:
        """Create the group again if its service still had something to write, as its service-linked role may."""
        names = _late_logs(self.account)
        if id in names:
            _store(self.account, [each for each in names if each != id])
            again: Properties = {"name": id, "retentionInDays": 0}
            self.account.put(Record(self.type, id, again, {"arn": self.arn_for(id, again)}, ready=True))
            self.engine.info(f"simulated: the service still had logs to write and created {id} again")


def note_late_logs(account: Account, names: Sequence[str]) -> None:
    """Note the log groups to which a deleted service still writes."""
    _store(account, sorted({*_late_logs(account), *names}))


def _late_logs(account: Account) -> list[str]:
    file = _file(account)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def _store(account: Account, names: Sequence[str]) -> None:
    write(_file(account), json.dumps(names), mode=0o600)


def _file(account: Account) -> Path:
    return account.folder / "late-logs.json"
