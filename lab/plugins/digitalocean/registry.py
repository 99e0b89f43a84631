"""The account's container registry: a path in the lab's registry, which asks for no login."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.digitalocean.slugs import REGISTRY_REGIONS
from lab.plugins.digitalocean.times import expired, expiry, now
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import Properties

LONGEST_EXPIRY_SECONDS = 1_576_800_000  # the provider's default, about 50 years
NAME = r"[a-z0-9-]{1,63}"


class ContainerRegistry(Kind):
    """A registry, with a name that is unique in all of the cloud; an account has one."""

    outputs: ClassVar[tuple[str, ...]] = (
        "createdAt", "endpoint", "name", "region", "serverUrl", "storageUsageBytes", "subscriptionTierSlug",
    )  # fmt: skip
    title = "container registry"
    properties: ClassVar[Mapping[str, Property]] = {
        "subscriptionTierSlug": Property(str, required=True, values=frozenset({"starter", "basic", "professional"})),
        "name": Property(str, replaces=True, pattern=NAME, rule="lower-case letters, digits and dashes, 63 at most"),
        "region": Property(str, replaces=True, values=REGISTRY_REGIONS),
    }
    computed = ("createdAt", "endpoint", "region", "serverUrl", "storageUsageBytes")

    @override
    def identify(self, inputs: Properties) -> str:
        return inputs["name"]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        if [each for each in self.account.records() if each.type == self.type and each.id != id]:
            raise Refused("409 the account has a container registry already; name it with the config key `registry`")
        return {
            "createdAt": now(),
            "endpoint": f"{self.account.lab.registry}/{id}",
            "region": inputs.get("region") or "nyc3",
            "serverUrl": self.account.lab.registry,
            "storageUsageBytes": 0,
        }

    @override
    def unmake(self, record: Record) -> None:
        """The images go with it, as they do in the cloud."""
        shutil.rmtree(self.account.lab.repositories / record.id, ignore_errors=True)


class ContainerRegistryDockerCredentials(Kind):
    """A Docker client's login; renewed when it has expired and somebody looks."""

    title = "registry credentials"
    properties: ClassVar[Mapping[str, Property]] = {
        "registryName": Property(str, required=True, replaces=True, pattern=NAME, rule="a registry's name"),
        "write": Property(bool),
        "expirySeconds": Property(int),
    }
    computed = ("credentialExpirationTime", "dockerCredentials", "expirySeconds", "write")
    secret = frozenset({"dockerCredentials"})
    autonamed = False
    unique_id = False  # each has a login of its own to the one registry

    @override
    def identify(self, inputs: Properties) -> str:
        return inputs["registryName"]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self.existing("ContainerRegistry", inputs["registryName"])
        seconds = inputs.get("expirySeconds", LONGEST_EXPIRY_SECONDS)
        if not 0 < seconds <= LONGEST_EXPIRY_SECONDS:
            raise Refused(f"422 expirySeconds must be from 1 to {LONGEST_EXPIRY_SECONDS}")
        token = secrets.token_hex(32)
        login = base64.b64encode(f"{token}:{token}".encode()).decode()
        return {
            "credentialExpirationTime": expiry(seconds),
            "dockerCredentials": json.dumps({"auths": {self.account.lab.registry: {"auth": login}}}),
            "expirySeconds": seconds,
            "write": inputs.get("write", False),
        }

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return self.make(record.id, new)

    @override
    def look(self, record: Record) -> Properties:
        return self.make(record.id, record.inputs) if expired(record.outputs["credentialExpirationTime"]) else {}
