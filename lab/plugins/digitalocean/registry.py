"""The account's container registry: a path in the lab's registry, which needs no login."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.digitalocean.kind import REGISTRY_NAME, REGISTRY_REGIONS, DigitalOceanKind
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.rules import Rule, between, one_of
from lab.plugins.times import go_time, has_passed, timestamp

MAXIMUM_EXPIRY_SECONDS = 1_576_800_000  # the provider's default, about 50 years


class ContainerRegistry(DigitalOceanKind):
    """A registry. Its name is unique in the whole cloud, and an account has only one."""

    title = "container registry"
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": REGISTRY_NAME,
        "region": REGISTRY_REGIONS,
        "subscriptionTierSlug": one_of("starter", "basic", "professional"),
    }
    replaces = ("name", "region")
    defaults: ClassVar[Mapping[str, Value]] = {"region": "nyc3"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return inputs["name"]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        if [each for each in self.account.records(self.type) if each.id != id]:
            raise ApiError("409 the account has a container registry already; name it with the config key `registry`")
        return {
            "createdAt": go_time(),
            "endpoint": f"{self.account.lab.registry}/{id}",
            "serverUrl": self.account.lab.registry,
            "storageUsageBytes": 0,
        }

    @override
    def discard(self, record: Record) -> None:
        """Remove its images, as the cloud does."""
        shutil.rmtree(self.account.lab.repositories / record.id, ignore_errors=True)


class ContainerRegistryDockerCredentials(DigitalOceanKind):
    """A Docker client's login; a refresh renews it once it has expired."""

    title = "registry credentials"
    rules: ClassVar[Mapping[str, Rule]] = {
        "registryName": REGISTRY_NAME,
        "expirySeconds": between(1, MAXIMUM_EXPIRY_SECONDS),
    }
    replaces = ("registryName",)
    defaults: ClassVar[Mapping[str, Value]] = {"expirySeconds": MAXIMUM_EXPIRY_SECONDS, "write": False}
    references: ClassVar[Mapping[str, str]] = {"registryName": "ContainerRegistry"}
    autonamed = False
    unique_id = False  # each has a login of its own to the one registry

    @override
    def new_id(self, inputs: Properties) -> str:
        return inputs["registryName"]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        seconds = self.with_defaults(inputs)["expirySeconds"]
        token = secrets.token_hex(32)
        login = base64.b64encode(f"{token}:{token}".encode()).decode()
        return {
            "credentialExpirationTime": timestamp(timedelta(seconds=seconds)),
            "dockerCredentials": json.dumps({"auths": {self.account.lab.registry: {"auth": login}}}),
        }

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        return self.create(record.id, new)

    @override
    def refresh(self, record: Record) -> Properties:
        expired = has_passed(record.outputs["credentialExpirationTime"])
        return self.create(record.id, record.inputs) if expired else {}
