"""Keys. Nothing is encrypted with them here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.kind import AwsKind
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.rules import Rule, at_most, between, matches

DEFAULT_WINDOW_DAYS = 30


class Key(AwsKind):
    """A key. AWS deletes it only after some days."""

    module = "kms"
    title = "KMS key"
    arn = "kms:key/{id}"
    json_inputs = ("policy",)
    rules: ClassVar[Mapping[str, Rule]] = {
        "description": at_most(8192),
        "deletionWindowInDays": between(7, 30),
    }
    replaces = ("keyUsage", "multiRegion", "region")

    @override
    def new_id(self, inputs: Properties) -> str:
        return str(uuid.uuid4())

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {**super().create(id, inputs), "keyId": id}

    @override
    def delete(self, record: Record) -> None:
        days = record.inputs.get("deletionWindowInDays", DEFAULT_WINDOW_DAYS)
        self.engine.info(f"simulated: AWS would keep the KMS key {record.id} for {days} days before deleting it")


class Alias(AwsKind):
    """A key's name."""

    module = "kms"
    title = "KMS alias"
    arn = "kms:{id}"
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(
            r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}",
            "alias/ and letters, digits, slashes, dashes, underscores; AWS reserves alias/aws/",
        )
    }
    required = ("name",)
    replaces = ("name", "region")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        key = self.named("Key", inputs["targetKeyId"])
        return {**super().create(id, inputs), "targetKeyArn": key.outputs.get("arn", "")}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        return self.create(record.id, new)


def check_key(kind: AwsKind, key: str) -> None:
    """Raise ApiError unless the account has a key with that id or ARN."""
    try:
        kind.named("Key", key)
    except ApiError:
        raise ApiError(f"400 InvalidParameterException: there is no KMS key {key!r}") from None
