"""What all of Google's resource types have in common: a project, an API to be enabled, labels, a self link."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record
from lab.plugins.engine import Engine
from lab.plugins.gcp.rules import label_faults
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

COMPUTE_LINK = "https://www.googleapis.com/compute/v1/"
#: Outputs of a type that carries labels.
LABEL_OUTPUTS = ("effectiveLabels", "pulumiLabels")


class GoogleKind(Kind):
    """A type whose ``api`` (``compute``) must be enabled in the project before anything of it is made."""

    api: ClassVar[str]
    labelled: ClassVar[str] = ""
    """The input with its labels, "" where it has none."""

    def __init__(self, account: Account, engine: Engine) -> None:
        super().__init__(account, engine)
        self.default_project = ""
        """Of the provider's configuration."""

    def project(self, inputs: Properties) -> str:
        """The project that the resource is in."""
        return inputs.get("project") or self.default_project

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return label_faults(inputs.get(self.labelled), self.labelled) if self.labelled else []

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._enabled(self.project(inputs))
        outputs = self.build(id, inputs)
        if self.labelled:
            outputs |= self._labels(inputs)
        return outputs

    def build(self, id: str, inputs: Properties) -> Properties:
        """Make what is real behind it; the computed outputs. Raises Refused."""
        del id, inputs
        return {}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return self._labels(new) if self.labelled else {}

    @override
    def unmake(self, record: Record) -> None:
        if record.inputs.get("deletionPolicy") == "PREVENT":
            raise Refused("its deletion policy is PREVENT; set another, run `pulumi up`, and then delete it")

    def used_by(self, record: Record, *kinds: str) -> list[str]:
        """Other resources that have this one's id or link in their inputs."""
        links = {record.id, record.outputs.get("selfLink")}
        return [
            f"{each.type} {each.inputs.get('name') or each.id}"
            for each in self.account.records()
            if each.type in kinds and links & set(_texts(each.inputs))
        ]

    def refuse_while_used(self, record: Record, *kinds: str) -> None:
        """Raises Refused while resources of these kinds name it."""
        if users := self.used_by(record, *kinds):
            raise Refused(f"400 the {self.title} {record.id!r} is already being used by {', '.join(users)}")

    def _enabled(self, project: str) -> None:
        service = f"{self.api}.googleapis.com"
        if self.account.get("Service", f"{project}/{service}") is None:
            raise Refused(
                f"403 the API {service} has not been used in project {project} before or it is disabled; enable it"
                f" (`gcloud services enable {service} --project {project}`) and repeat the command"
            )

    def _labels(self, inputs: Properties) -> Properties:
        labels = inputs.get(self.labelled) or {}
        return {"pulumiLabels": labels, "effectiveLabels": {**labels, "goog-pulumi-provisioned": "true"}}


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def now() -> str:
    """The present, as Google's APIs write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def numeric_id(digits: int = 19) -> str:
    """An id of that many digits, as the APIs number things."""
    return str(10 ** (digits - 1) + secrets.randbelow(9 * 10 ** (digits - 1)))
