"""Keys. Nothing is encrypted with them here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import NUMBER
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, json_faults
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

DEFAULT_WINDOW_DAYS = 30


class Key(AwsKind):
    """A key; one that is deleted goes after a number of days."""

    module = "kms"
    service = "kms"
    title = "KMS key"
    properties: ClassVar[Mapping[str, Property]] = {
        "description": Property(str, pattern=r"(?s).{0,8192}", rule="8192 characters at most"),
        "deletionWindowInDays": Property(int, values=frozenset(range(7, 31))),
        "enableKeyRotation": Property(bool),
        "rotationPeriodInDays": Property(int, values=frozenset(range(90, 2561))),
        "isEnabled": Property(bool),
        "keyUsage": Property(
            str, replaces=True, values=frozenset({"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"})
        ),
        "multiRegion": Property(bool, replaces=True),
        "policy": Property(str),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "customerMasterKeySpec", "keyId", "keyUsage", "multiRegion", "policy")

    @override
    def identify(self, inputs: Properties) -> str:
        return str(uuid.uuid4())

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return [*super().invalid(inputs), *json_faults(inputs, "policy")]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        owner = {"AWS": f"arn:aws:iam::{NUMBER}:root"}
        default = [{"Effect": "Allow", "Principal": owner, "Action": "kms:*", "Resource": "*"}]
        return {
            "arn": self.arn(inputs, f"key/{id}"),
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "keyId": id,
            "keyUsage": inputs.get("keyUsage", "ENCRYPT_DECRYPT"),
            "multiRegion": inputs.get("multiRegion", False),
            "policy": inputs.get("policy") or json.dumps({"Version": "2012-10-17", "Statement": default}),
        }

    @override
    def unmake(self, record: Record) -> None:
        days = record.inputs.get("deletionWindowInDays", DEFAULT_WINDOW_DAYS)
        self.engine.info(f"simulated: AWS would keep the KMS key {record.id} for {days} days, in case of a mistake")


class Alias(AwsKind):
    """A key's name."""

    module = "kms"
    service = "kms"
    title = "KMS alias"
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, required=True, replaces=True, pattern=r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}",
            rule="alias/ and letters, digits, slashes, dashes, underscores; alias/aws/ is AWS's own",
        ),
        "targetKeyId": Property(str, required=True),
        "region": REGION,
    }  # fmt: skip
    computed = ("arn", "targetKeyArn")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        key = self.named("Key", inputs["targetKeyId"])
        return {"arn": self.arn(inputs, id), "targetKeyArn": key.outputs.get("arn", "")}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return self.make(record.id, new)


def check_key(kind: AwsKind, key: str) -> None:
    """Raise Refused unless the account has a key with that id or ARN."""
    try:
        kind.named("Key", key)
    except Refused:
        raise Refused(f"400 InvalidParameterException: there is no KMS key {key!r}") from None
