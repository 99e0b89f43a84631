"""The stack config as typed, validated settings: the only input of the program.

The keys, their types and defaults are declared in ``Pulumi.yaml``; the engine checks the types. What the engine
cannot say (ranges, forms, which key goes with which) is said here, beside the field, and all faults are reported in
one message. The keys that describe a cloud's platform are declared by that cloud's file, ``stacks/<cloud>.py``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from components import registry_client

PROJECT_ROOT = Path(__file__).resolve().parent.parent

Traffic = Literal["split", "stable", "canary"]
Building = Literal["always", "first", "never"]

#: Name of a Kubernetes object that becomes a DNS label (RFC 1123): at most 63 characters, of which the longest suffix
#: the program adds (``-canary-migrate-`` and the engine's 8) takes 24.
DNS_LABEL = r"^[a-z]([-a-z0-9]{0,37}[a-z0-9])?$"
#: ``REPOSITORY@sha256:DIGEST``, a tag before the @ is allowed and dropped (OCI distribution specification).
PINNED_IMAGE = re.compile(r"^(?P<repository>[^\s@]+?)(?P<tag>:[\w][\w.-]{0,127})?@(?P<digest>sha256:[0-9a-f]{64})$")
#: A Kubernetes resource quantity in the forms people write (``50m``, ``0.5``, ``256Mi``).
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
#: A stack of this project, or ORGANIZATION/PROJECT/STACK (Pulumi documentation, Stack references); empty: none.
STACK_REFERENCE = r"^(([\w.-]+/){2}[\w.-]+|[\w.-]*)$"
Port = Annotated[int, Field(ge=1, le=65535)]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HttpPath = Annotated[str, Field(pattern=r"^/[^\s]*$")]


class ConfigFault(ValueError):
    """Wrong stack config; the message names every fault found, one a line."""


class Keys(BaseModel):
    """A group of config keys; field ``stable_image`` is the key ``stableImage``."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="forbid")

    @classmethod
    def key_names(cls) -> set[str]:
        """Config keys of the group."""
        return {to_camel(name) for name in cls.model_fields}

    @classmethod
    def lacking(cls) -> list[str]:
        """What the group needs beside config and is not there (commands, credentials), a sentence each."""
        return []

    def holds(self, image: str) -> bool | None:  # noqa: ARG002 for clouds to say
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
        match = PINNED_IMAGE.match(value)
        if value and value != "source" and not match:
            raise ValueError(
                "a tag can move, so an image is named by digest: REPOSITORY@sha256:<64 hex digits>"
                " (`regctl image digest REPOSITORY:TAG` prints it)"
            )
        return f"{match['repository']}@{match['digest']}" if match else value

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


class ServiceSettings(Keys):
    """The service under release: how it is built, probed and sized."""

    service: str = Field(default="addressbook", pattern=DNS_LABEL)
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


class Settings(BaseModel):
    """Everything the program is told: one object for each group of keys."""

    model_config = ConfigDict(frozen=True)

    stack: StackSettings
    platform: Keys
    release: ReleaseSettings
    service: ServiceSettings

    @property
    def elsewhere(self) -> set[str]:
        """Images to copy into the stack's own registry."""
        return {image for image in self.release.pinned if not self.platform.holds(image)}


#: Groups that every cloud has.
COMMON = (StackSettings, ReleaseSettings, ServiceSettings)


def clouds() -> list[str]:
    """Clouds that the program knows: each has a file in ``stacks/`` and a folder in ``components/``."""
    files = sorted((PROJECT_ROOT / "stacks").glob("*.py"))
    return [file.stem for file in files if (PROJECT_ROOT / "components" / file.stem).is_dir()]


def parse(values: Mapping[str, str], platform: type[Keys] | None, secret_keys: Set[str] = frozenset()) -> Settings:
    """Turn the engine's config (key without its project prefix, value as text) into settings.

    ``platform`` holds the keys of the chosen cloud's platform, None when there is no such cloud; ``secret_keys`` names
    the keys whose values were encrypted. Raises ConfigFault with all faults at once.
    """
    cloud = values.get("cloud", "")
    faults: list[str] = []
    if platform is None:
        faults.append(_fault("cloud", cloud, f"no such cloud; one of: {', '.join(clouds())}"))
    unset = declared_defaults()
    faults += _useless_keys(values, cloud, platform, unset)
    if values.get("secretEnvironment", "{}") != unset["secretEnvironment"] and "secretEnvironment" not in secret_keys:
        faults.append("secretEnvironment: holds plain text; set each with `pulumi config set --secret --path`")
    groups: dict[type[Keys], Keys] = {}
    for group in (*COMMON, *([platform] if platform else [])):
        known = {key: values[key] for key in group.key_names() if key in values}
        if group is platform:  # unset means the cloud's own default
            known = {key: value for key, value in known.items() if value != unset.get(key)}
        try:
            groups[group] = group.model_validate({key: _decoded(value) for key, value in known.items()})
        except ValidationError as error:
            faults += [_described(fault) for fault in error.errors()]
    faults += _rules_between_keys(values)
    faults += _missing_build_context(groups)
    faults += _never_builds(groups)
    faults += _missing_copier(groups, platform)
    faults += platform.lacking() if platform else []
    if faults or platform is None:
        raise ConfigFault("\n".join(faults))
    return Settings(
        stack=cast(StackSettings, groups[StackSettings]),
        platform=groups[platform],
        release=cast(ReleaseSettings, groups[ReleaseSettings]),
        service=cast(ServiceSettings, groups[ServiceSettings]),
    )


def _decoded(text: str) -> Any:
    """Objects and arrays come from the engine as JSON; numbers and switches are read by their field."""
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text


def _rules_between_keys(values: Mapping[str, str]) -> list[str]:
    """Faults of keys that are right each by itself. Read from the text, so that another key's fault hides none."""
    image, replicas, traffic = (values.get(key, "") for key in ("canaryImage", "canaryReplicas", "traffic"))
    wanted = int(replicas) if replicas.isdecimal() else 0
    faults: list[str] = []
    if wanted and not image:
        faults.append(
            f"canaryReplicas is {wanted} but there is no canaryImage; set canaryImage to `source` or to"
            " REPOSITORY@sha256:DIGEST, or canaryReplicas to 0"
        )
    if traffic == "canary" and not (wanted and image):
        faults.append(
            "traffic is `canary` but no canary is declared; set canaryImage and canaryReplicas, or traffic to"
            " `split` or `stable`"
        )
    if values.get("port") and values.get("port") == values.get("metricsPort"):
        faults.append(f"metricsPort and port are both {values['port']}; metrics are not public, so need their own port")
    return faults


def _missing_build_context(groups: Mapping[type[Keys], Keys]) -> list[str]:
    service, release = groups.get(ServiceSettings), groups.get(ReleaseSettings)
    if not isinstance(service, ServiceSettings) or not isinstance(release, ReleaseSettings):
        return []  # their own faults come first
    if not release.builds_from_source or (service.context_folder / service.dockerfile).is_file():
        return []
    return [_fault("buildContext", service.build_context, f"there is no {service.dockerfile} in that folder")]


def _missing_copier(groups: Mapping[type[Keys], Keys], platform: type[Keys] | None) -> list[str]:
    release, keys = groups.get(ReleaseSettings), groups.get(platform) if platform else None
    if not isinstance(release, ReleaseSettings) or keys is None:
        return []  # their own faults come first
    return registry_client.lacking({image for image in release.pinned if keys.holds(image) is False})


def _never_builds(groups: Mapping[type[Keys], Keys]) -> list[str]:
    release = groups.get(ReleaseSettings)
    if not isinstance(release, ReleaseSettings) or release.build_from_source != "never":
        return []
    return [
        f"{key}: this stack builds nothing (buildFromSource is `never`); name what was built elsewhere, as"
        " REPOSITORY@sha256:DIGEST"
        for key in [*release.unpinned, *(["buildAhead"] if release.build_ahead else [])]
    ]


def _useless_keys(
    values: Mapping[str, str], cloud: str, platform: type[Keys] | None, unset: Mapping[str, str]
) -> list[str]:
    """Keys set that nothing will read: misspelt ones, and those of another cloud's or another stack's platform."""
    used = {key for group in (*COMMON, *([platform] if platform else [])) for key in group.key_names()}
    declared = {"cloud", *unset}
    on = values.get("platformStack", "")
    faults: list[str] = []
    for key, value in sorted(values.items()):
        if key not in declared:
            near = difflib.get_close_matches(key, declared, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "Pulumi.yaml lists the keys"
            faults.append(f"{key}: no such key; {hint} (`pulumi config rm {key}` removes it)")
        elif key not in used and platform is not None and value != unset[key]:
            who = f"a stack on the platform of `{on}`" if on else f"cloud `{cloud}`"
            faults.append(_fault(key, value, f"{who} has no use for it (`pulumi config rm {key}` removes it)"))
    return faults


def declared_keys() -> set[str]:
    """Keys that ``Pulumi.yaml`` declares."""
    return {"cloud", *declared_defaults()}


@cache
def declared_defaults() -> dict[str, str]:
    """Key -> default of ``Pulumi.yaml``, as the engine hands it over: what an unset key looks like."""
    project = cast(dict[str, Any], yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text()))
    defaults = {key: row["default"] for key, row in project["config"].items() if "default" in row}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in defaults.items()}


def _fault(key: str, value: object, wrong: str) -> str:
    shown = f" = {value!r}" if value not in ("", None) else ""
    return f"{key}{shown}: {wrong}"


#: pydantic's words where a person's are clearer.
_WORDS = {
    "missing": "is not set, and has no default",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "literal_error": "must be {expected}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


def _described(fault: Any) -> str:
    """One sentence for one of pydantic's faults: key, value, what is allowed, how to set it."""
    context: dict[str, Any] = fault.get("ctx", {})
    location = cast(tuple[str | int, ...], fault["loc"])
    words = _WORDS.get(fault["type"])
    wrong = words.format(**context) if words else str(fault["msg"]).removeprefix("Value error, ")
    key = ".".join(str(part) for part in location if part != "[key]")
    secret = location[0] == "secretEnvironment"
    value = None if secret or fault["type"] == "missing" else fault["input"]
    return _fault(key, value, f"{wrong} (`pulumi config set {location[0]} VALUE`)")
