"""The stack config as typed, validated settings: the only input of the program.

The keys, their types and defaults are declared in ``Pulumi.yaml``; the engine checks the types. What the engine
cannot say of a key (its range, its form) is said here, beside the field; which keys go together, and how all faults are
reported at once, in ``stacks/parsing.py``. The keys that describe a cloud's platform are declared by that cloud's file,
``stacks/<cloud>.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from contract.image import Image
from contract.project import PROJECT_ROOT

Traffic = Literal["split", "stable", "canary"]
Building = Literal["always", "first", "never"]

#: Name of a Kubernetes object that becomes a DNS label (RFC 1123): at most 63 characters, of which the longest suffix
#: the program adds (``-migrate-abcdef-`` and the engine's 8) takes 24.
DNS_LABEL = r"^[a-z]([-a-z0-9]{0,37}[a-z0-9])?$"
#: ``REPOSITORY:TAG``.
TAGGED_IMAGE = re.compile(r"^[^\s@]+:[\w][\w.-]{0,127}$")
#: A Kubernetes resource quantity in the forms people write (``50m``, ``0.5``, ``256Mi``).
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
#: A stack of this project, or ORGANIZATION/PROJECT/STACK (Pulumi documentation, Stack references); empty: none.
STACK_REFERENCE = r"^(([\w.-]+/){2}[\w.-]+|[\w.-]*)$"
#: Major version of PostgreSQL: 15 or later.
PostgresVersion = Annotated[str, Field(pattern=r"^(1[5-9]|[2-9][0-9])$")]
#: Weekday and full hour, UTC.
MaintenanceWindow = Annotated[str, Field(pattern=r"^(mon|tues|wednes|thurs|fri|satur|sun)day ([01][0-9]|2[0-3]):00$")]
Port = Annotated[int, Field(ge=1, le=65535)]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HttpPath = Annotated[str, Field(pattern=r"^/[^\s]*$")]


class Keys(BaseModel):
    """A group of config keys; field ``stable_image`` is the key ``stableImage``."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="forbid")

    @classmethod
    def key_names(cls) -> set[str]:
        """Config keys of the group."""
        return {field.alias or to_camel(name) for name, field in cls.model_fields.items()}

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """What the group needs beside config and is not there (commands, credentials), a sentence each."""
        return []

    @property
    def pinned(self) -> set[str]:
        """Images that the group names by digest."""
        return set()

    def owns_image(self, image: str) -> bool | None:  # noqa: ARG002 for clouds to say
        """Whether an image's name says that it is in the stack's own registry; None where config alone can't tell.

        What is not held is copied there; what may be is, too, if it turns out to be elsewhere.
        """
        return None


class ReleaseSettings(Keys):
    """Which image each track runs, and how many pods of it."""

    stable_image: str = ""
    stable_replicas: int = Field(default=3, ge=1, le=1000)
    stable_replicas_after_trial: int = Field(default=0, ge=0, le=1000)
    canary_image: str = ""
    canary_replicas: int = Field(default=0, ge=0, le=1000)
    canary_verdict: str = ""
    traffic: Traffic = "split"
    build_from_source: Building = "always"
    build_ahead: bool = False

    @field_validator("stable_image", "canary_image")
    @classmethod
    def _pinned(cls, value: str) -> str:
        pinned = _by_digest(value)
        if value and value != "source" and not pinned:
            raise ValueError(
                "a tag can move, so an image is named by digest: REPOSITORY@sha256:<64 hex digits>"
                " (`regctl image digest REPOSITORY:TAG` prints it)"
            )
        return pinned or value

    @field_validator("stable_image")
    @classmethod
    def _stable_not_source(cls, value: str) -> str:
        if value == "source":
            raise ValueError("leave stableImage unset to run what is built from source")
        return value

    @property
    def has_canary(self) -> bool:
        """Whether a canary is declared."""
        return bool(self.canary_image) and self.canary_replicas > 0

    @property
    def builds_from_source(self) -> bool:
        """Whether the image is built from the build context."""
        return self.build_ahead or bool(self.unpinned)

    @property
    def unpinned(self) -> list[str]:
        """Keys that leave it to the build context what their track runs."""
        canary = self.has_canary and self.canary_image == "source"
        return [*([] if self.stable_image else ["stableImage"]), *(["canaryImage"] if canary else [])]

    @property
    def pinned(self) -> set[str]:
        """Images that tracks run by digest."""
        named = {self.stable_image, self.canary_image if self.has_canary else ""}
        return named - {"", "source"}


class DatabaseClientKeys(Keys):
    """Of a stack that runs psql in the cluster, with the login of the database server's administrator."""

    #: A server of this major version or a later one takes its psql.
    database_client_image: str = "postgres:15-bookworm"

    @field_validator("database_client_image")
    @classmethod
    def _one_image(cls, value: str) -> str:
        pinned = _by_digest(value)
        if not pinned and not TAGGED_IMAGE.match(value):
            raise ValueError("names no image: REPOSITORY@sha256:<64 hex digits>, or REPOSITORY:TAG, which can move")
        return pinned or value

    @property
    def pinned(self) -> set[str]:
        """The image, where it is named by digest."""
        return {self.database_client_image} if _by_digest(self.database_client_image) else set()


class ServiceSettings(Keys):
    """The service under release: how it is built, probed and sized."""

    name: str = Field(default="addressbook", pattern=DNS_LABEL, alias="service")
    build_context: str = "app"
    dockerfile: str = "Dockerfile"
    build_args: dict[str, str] = {}
    build_platform: str = Field(default="linux/amd64", pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$")
    port: Port = 3000
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    readiness_path: HttpPath = "/ready"
    liveness_path: HttpPath = "/live"
    migrate_command: list[str] = ["addressbook", "migrate"]
    test_commands: list[Annotated[list[str], Field(min_length=1)]] = []
    environment: dict[EnvironmentName, str] = {}
    secret_environment: dict[EnvironmentName, str] = Field(default={}, repr=False)
    cpu_request: Quantity = "50m"
    memory_request: Quantity = "96Mi"
    memory_limit: Quantity = "256Mi"
    egress_ports: list[Port] = []
    rollout_timeout_seconds: int = Field(default=120, ge=10, le=3600)
    pre_stop_seconds: int = Field(default=5, ge=0, le=120)

    @property
    def context_folder(self) -> Path:
        """Absolute path of the build context."""
        return (PROJECT_ROOT / self.build_context).resolve()


class StackSettings(Keys):
    """Where the stack lives."""

    cloud: str
    platform_stack: str = Field(default="", pattern=STACK_REFERENCE)
    namespace: str = Field(default="addressbook", pattern=DNS_LABEL)


PlatformKeysT = TypeVar("PlatformKeysT", bound=Keys)


@dataclass(frozen=True)
class Settings(Generic[PlatformKeysT]):
    """The validated stack config, one object for each group of keys; ``platform`` is the cloud's group."""

    stack: StackSettings
    platform: PlatformKeysT
    release: ReleaseSettings
    service: ServiceSettings

    @property
    def images_to_copy(self) -> set[str]:
        """Images that are not, or may not be, in the stack's own registry."""
        return {image for image in self.release.pinned if not self.platform.owns_image(image)}


#: Groups that every cloud has.
COMMON = (StackSettings, ReleaseSettings, ServiceSettings)


def _by_digest(image: str) -> str:
    """Return REPOSITORY@sha256:DIGEST without the tag; "" if the image is named in another way."""
    return str(Image.parse(image) or "")
