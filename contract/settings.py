"""The stack config as typed, validated settings: the only input of the program.

Each field is the one home of its key's type, default, limits and description. ``python -m pipeline config`` generates
the ``config:`` block of ``Pulumi.yaml`` and ``docs/reference/config.md`` from here and from the ``PlatformKeys`` in
``stacks/<cloud>.py``. ``stacks/parsing.py`` checks keys that depend on each other and reports all errors at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from contract.image import Image
from contract.judging import (
    MetricName,
    MetricsPreset,
    QueryCheck,
    RequestMetrics,
    SourceName,
    TestRequest,
    request_metrics,
)
from contract.project import PROJECT_ROOT, clouds

Traffic = Literal["split", "stable", "canary"]
Building = Literal["always", "first", "never"]

#: Kubernetes names that become DNS labels have at most 63 characters (RFC 1123). The longest suffix that the program
#: and the engine add (``-migrate-abcdef-`` and 8 more) takes 24 of them.
DNS_LABEL = r"^[a-z]([-a-z0-9]{0,37}[a-z0-9])?$"
#: Name of a namespace (RFC 1123).
NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
#: Fields of ServiceSettings that belong to one track's pods, so that they can go on trial in ``canarySettings``. Secret
#: variables have a key of their own.
TRACK_FIELDS = (
    *("port", "metrics_port", "readiness_path", "liveness_path", "migrate_command", "test_commands", "environment"),
    *("cpu_request", "memory_request", "memory_limit", "ephemeral_storage"),
    *("rollout_timeout_seconds", "pre_stop_seconds"),
)
#: ``REPOSITORY:TAG``.
TAGGED_IMAGE = re.compile(r"^[^\s@]+:[\w][\w.-]{0,127}$")
#: A Kubernetes resource quantity in the forms that people write (``50m``, ``0.5``, ``256Mi``).
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
_QUANTITY = re.compile(r"^([0-9.]+)([A-Za-z]*)$")
_UNITS = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000) ** power for power, unit in enumerate("kMGT", start=1)},
    **{f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGT", start=1)},
}
#: A stack of this project, or ORGANIZATION/PROJECT/STACK (Pulumi documentation, Stack references). Empty: none.
STACK_REFERENCE = r"^(([\w.-]+/){2}[\w.-]+|[\w.-]*)$"
PostgresVersion = Annotated[
    str,
    Field(
        pattern=r"^(1[5-9]|[2-9][0-9])$",
        description="Major version of PostgreSQL, 15 or later. A newer one upgrades in place.",
    ),
]
MaintenanceWindow = Annotated[
    str,
    Field(
        pattern=r"^(mon|tues|wednes|thurs|fri|satur|sun)day ([01][0-9]|2[0-3]):00$",
        description="Weekday and full hour (UTC) at which the provider may start its own maintenance.",
    ),
]
#: A percentage from 0 to 100 with at most one decimal, or "".
WEIGHT = r"^(100(\.0)?|[1-9]?[0-9](\.[0-9])?)?$"
#: ``NAME: VALUE`` of an HTTP header (RFC 9110, tokens), or "".
HEADER = r"^([A-Za-z0-9!#$%&'*+.^_`|~-]+: [!-~]+( [!-~]+)*)?$"
Port = Annotated[int, Field(ge=1, le=65535)]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HttpPath = Annotated[str, Field(pattern=r"^/[^\s]*$")]


def quantity(text: str) -> Fraction:
    """Return the number that a valid `Quantity` stands for: CPUs, or bytes."""
    number, unit = cast(re.Match[str], _QUANTITY.match(text)).groups()
    return Fraction(number) * _UNITS[unit or ""]


class Keys(BaseModel):
    """A group of config keys; field ``stable_image`` is the key ``stableImage``."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="forbid")

    @classmethod
    def key_names(cls) -> set[str]:
        """Return the config keys of the group."""
        return {field.alias or to_camel(name) for name, field in cls.model_fields.items()}

    @classmethod
    def missing_prerequisites(cls) -> list[str]:
        """Return an error for each command or credential that the group needs and this machine does not have."""
        return []

    @property
    def pinned(self) -> set[str]:
        """Images that the group names by digest."""
        return set()

    def service_errors(self, service: ServiceSettings) -> list[str]:  # noqa: ARG002 for clouds to implement
        """Return an error, beginning with its key, for each setting of the service that the cloud would change."""
        return []

    def canary_errors(self, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 for clouds to implement
        """Return an error, beginning with its key, for each of the canary's settings that the cloud cannot have."""
        return []

    def owns_image(self, image: str) -> bool | None:  # noqa: ARG002 for clouds to implement
        """Return whether the image is in the stack's own registry, judged by its name; None if the name cannot tell.

        The program copies an image there unless this is true.
        """
        return None


class ToolKeys(Keys):
    """Keys that the promotion commands write."""

    stable_replicas_after_trial: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Pods of stable once the canary is gone. `canary` sets it when stable gives up pods for the trial;"
        " `promote` and `rollback` remove it.",
    )
    canary_weight_after_trial: str = Field(
        default="",
        pattern=WEIGHT,
        description="`canaryWeight` once the canary is gone. `canary --weight` sets it; `promote` and `rollback` remove"
        " it.",
    )
    canary_verdict: str = Field(
        default="",
        description="Latest verdict, as `RESULT DIGEST TIME stable=DIGEST settings=FINGERPRINT`, with"
        " `trial=FINGERPRINT` if settings were on trial. `verdict` writes the result for the canary's image, and"
        " what it was compared with; `rollback` writes `rejected`, and `canary --force` on such an image `retried`.",
    )
    migrated_image: str = Field(
        default="",
        pattern=r"^(sha256:[0-9a-f]{64})?$",
        description="Digest of an image that gets no migration, because it ran before. `rollback --to` sets it, so that"
        " returning to an earlier image does not wait for a migration; `promote` removes it.",
    )
    build_ahead: bool = Field(
        default=False,
        description="Build the image before any track runs it. `canary` sets it to pin the image before the trial.",
    )


class ReleaseSettings(ToolKeys):
    """Which image each track runs, and in how many pods."""

    stable_image: str = Field(
        default="", description="Image of stable, `REPOSITORY@sha256:DIGEST`. Unset: built from the build context."
    )
    stable_replicas: int = Field(default=3, ge=1, le=1000, description="Pods of stable.")
    canary_image: str = Field(
        default="",
        description="Image of the canary, `REPOSITORY@sha256:DIGEST`, or `source` to build it from the build context."
        " Unset: no canary.",
    )
    canary_replicas: int = Field(default=0, ge=0, le=1000, description="Pods of the canary. 0: no canary.")
    traffic: Traffic = Field(
        default="split",
        description="Tracks that serve users: `split` (both), `stable` (dark canary), `canary` (blue/green).",
    )
    canary_weight: str = Field(
        default="",
        pattern=WEIGHT,
        examples=["2.5"],
        description="Percentage of the requests that the Gateway sends to the canary, from 0 to 100 with at most one"
        " decimal, while traffic is `split`. Needs `gateway`. Unset: the canary's share of the pods.",
    )
    canary_header: str = Field(
        default="",
        pattern=HEADER,
        examples=["X-Canary: always"],
        description="Header, `NAME: VALUE`, with which a tester's request reaches the canary at any weight, 0 included."
        " Needs `gateway`.",
    )
    sticky: bool = Field(
        default=False,
        description="Whether a user's browser stays, by a cookie, with the version that it met: it changes at most once"
        " in a release. Needs `gateway` with a class of Traefik.",
    )
    build_from_source: Building = Field(
        default="always",
        description="When an image may be built from the build context: `always`; `first`, only in the stack's first"
        " update, after which both tracks must be pinned by digest (production); `never`, where CI builds.",
    )

    image_verification: str = Field(
        default="",
        pattern=r"^([^\s:]+\.pub|(awskms|azurekms|gcpkms|hashivault)://\S+|keyless https://\S+ \S+)?$",
        examples=["cosign.pub"],
        description="Who must have signed each image that a track is given: a public key (a file such as `cosign.pub`,"
        " relative to Pulumi.yaml, or a key service's `awskms://…`, `gcpkms://…`), or `keyless ISSUER IDENTITY`. cosign"
        " verifies it before an update changes anything; an image that runs already, or that stable ran before and a"
        " roll-back returns to, is not verified again. The stack then builds nothing. Unset: signatures are not"
        " verified.",
    )

    @field_validator("stable_image", "canary_image")
    @classmethod
    def _require_digest(cls, value: str) -> str:
        pinned = _by_digest(value)
        if value and value != "source" and not pinned:
            raise ValueError(
                "must be REPOSITORY@sha256:<64 hex digits>, because a tag can move"
                " (`regctl image digest REPOSITORY:TAG` prints the digest)"
            )
        return pinned or value

    @field_validator("stable_image")
    @classmethod
    def _refuse_source(cls, value: str) -> str:
        if value == "source":
            raise ValueError("leave stableImage unset to run what is built from source")
        return value

    @property
    def has_canary(self) -> bool:
        """Whether the config declares a canary."""
        return bool(self.canary_image) and self.canary_replicas > 0

    @property
    def has_weights(self) -> bool:
        """Whether the Gateway shares the users between the tracks' own Services."""
        return bool(self.canary_weight or self.canary_header) or self.sticky

    @property
    def builds_from_source(self) -> bool:
        """Whether this update builds the image from the build context."""
        return self.build_ahead or bool(self.unpinned)

    @property
    def unpinned(self) -> list[str]:
        """Image keys of the tracks that run an image built from the build context."""
        canary = self.has_canary and self.canary_image == "source"
        return [*([] if self.stable_image else ["stableImage"]), *(["canaryImage"] if canary else [])]

    @property
    def pinned(self) -> set[str]:
        """Images that tracks run by digest."""
        named = {self.stable_image, self.canary_image if self.has_canary else ""}
        return named - {"", "source"}


def digest_or_tag(value: str) -> str:
    """Return the image, without the tag beside a digest. Raises ValueError if it has neither."""
    pinned = _by_digest(value)
    if not pinned and not TAGGED_IMAGE.match(value):
        raise ValueError("must be REPOSITORY@sha256:<64 hex digits>, or REPOSITORY:TAG, which can move")
    return pinned or value


def by_digest(image: str) -> set[str]:
    """Return the image, if it is named by digest."""
    return {image} if _by_digest(image) else set()


class DatabaseClientKeys(Keys):
    """Keys of a stack that runs psql in the cluster as the database server's administrator."""

    database_client_image: str = Field(
        default="postgres:15-bookworm",
        description="Image whose psql creates the service's database or grants its rights, as the server's"
        " administrator; any psql of the server's major version or earlier works. In production name it by digest"
        " (`REPOSITORY@sha256:DIGEST`): it is then copied into the stack's registry and pulled from there.",
    )

    _require_image = field_validator("database_client_image")(digest_or_tag)

    @property
    def pinned(self) -> set[str]:
        """The image, if it is named by digest."""
        return by_digest(self.database_client_image) | super().pinned


class ServiceSettings(Keys):
    """The service under release: how it is built, probed and sized."""

    name: str = Field(
        default="addressbook",
        pattern=DNS_LABEL,
        alias="service",
        description="Name of the service. Deployments, Services and the image repository are named after it.",
    )
    build_context: str = Field(default="app", description="Build context of the image, relative to Pulumi.yaml.")
    dockerfile: str = Field(default="Dockerfile", description="Dockerfile, relative to the build context.")
    build_args: dict[str, str] = Field(
        default={}, description="Build arguments, name to value. The program sets REVISION and VERSION itself."
    )
    build_platform: str = Field(
        default="linux/amd64",
        pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$",
        description="Platform that the image is built for: that of the cluster's nodes.",
    )
    port: Port = Field(
        default=3000,
        description="Port that the container listens on. The public Service forwards 80 to it.",
    )
    metrics_port: int = Field(
        default=9464,
        ge=0,
        le=65535,
        description="Port of the Prometheus metrics (`metricsPath`), never public. 0: the service has none.",
    )
    readiness_path: HttpPath = Field(
        default="/ready", description="HTTP path that answers 200 when the pod can take requests."
    )
    liveness_path: HttpPath = Field(
        default="/live",
        description="HTTP path that answers 200 unless the process must be restarted. It must not depend on the"
        " database.",
    )
    migrate_command: list[str] = Field(
        default=["addressbook", "migrate"],
        description="Command of the migration Job, which runs in a track's image before its pods. `[]`: no migration.",
    )
    test_commands: list[Annotated[list[str], Field(min_length=1)]] = Field(
        default=[],
        description="Commands that `verdict` runs in a canary pod; each must exit with 0.",
    )
    environment: dict[EnvironmentName, str] = Field(
        default={},
        description="Environment variables, name to value, in addition to those of the database (ConfigMap).",
    )
    secret_environment: dict[EnvironmentName, str] = Field(
        default={},
        repr=False,
        description="Secret environment variables. Set one with"
        " `pulumi config set --secret --path secretEnvironment.NAME`.",
    )
    cpu_request: Quantity = Field(default="50m", description="CPU that each pod requests.")
    memory_request: Quantity = Field(default="96Mi", description="Memory that each pod requests.")
    memory_limit: Quantity = Field(default="256Mi", description="Memory limit of each pod.")
    ephemeral_storage: Quantity = Field(
        default="256Mi",
        description="Disk space of each pod, for /tmp and its logs: requested, and the limit. Kubernetes evicts a pod"
        " that uses more.",
    )
    egress_ports: list[Port] = Field(
        default=[], description="TCP ports that pods may connect to, on any host, besides DNS and the database."
    )
    metrics_namespaces: list[Annotated[str, Field(pattern=NAMESPACE)]] = Field(
        default=[],
        examples=['["monitoring"]'],
        description="Namespaces of the cluster whose pods may read the metrics, such as that of Prometheus. Pods of the"
        " stack's own namespace always may.",
    )
    metrics_discovery: Literal["", "annotations", "podMonitor"] = Field(
        default="",
        examples=["annotations"],
        description="How a Prometheus in the cluster finds the pods: `annotations` (`prometheus.io/scrape`, `port`,"
        " `path`), or `podMonitor` (a PodMonitor of the Prometheus Operator, whose CRD must be in the cluster). Unset:"
        " not at all.",
    )
    rollout_timeout_seconds: int = Field(
        default=120, ge=10, le=3600, description="Seconds without progress after which a track's rollout has failed."
    )
    pre_stop_seconds: int = Field(
        default=5,
        ge=0,
        le=120,
        description="Seconds that a pod keeps serving after it is told to stop, while endpoints update.",
    )

    @classmethod
    def track_keys(cls) -> tuple[str, ...]:
        """Return the config keys that belong to one track's pods, without ``secretEnvironment``."""
        return tuple(cls.model_fields[name].alias or to_camel(name) for name in TRACK_FIELDS)

    @property
    def context_folder(self) -> Path:
        """Absolute path of the build context."""
        return (PROJECT_ROOT / self.build_context).resolve()


class CanaryKeys(Keys):
    """What differs in the canary's pods. ``promote`` moves it to the service's own keys."""

    canary_settings: dict[str, Any] = Field(
        default={},
        description="Settings that differ in the canary's pods, such as `{environment: {LOG_LEVEL: debug}, memoryLimit:"
        " 512Mi}`. Variables of `environment` are added to stable's, and null removes a variable. Only with a canary;"
        " `promote` moves them to the service's own keys, and `rollback` removes them.",
    )
    canary_secret_environment: dict[EnvironmentName, str] = Field(
        default={},
        repr=False,
        description="Secret environment variables of the canary's pods, in addition to stable's. Set one with"
        " `pulumi config set --secret --path canarySecretEnvironment.NAME`.",
    )

    @property
    def differing(self) -> list[str]:
        """Names of the settings that differ."""
        return differing(self.canary_settings, self.canary_secret_environment)

    def over(self, service: ServiceSettings) -> ServiceSettings:
        """Return the canary's settings: the service's, overlaid with these. Raises pydantic.ValidationError."""
        own = service.model_dump(by_alias=True)
        return ServiceSettings.model_validate(overlay(own, self.canary_settings, self.canary_secret_environment))


def differing(canary_settings: Mapping[str, Any], canary_secrets: Iterable[str]) -> list[str]:
    """Return the names of the canary's settings, such as ``environment.LOG_LEVEL``, ``memoryLimit``."""
    plain = dict(canary_settings)
    variables = plain.pop("environment", {})
    return [
        *plain,
        *(f"environment.{name}" for name in variables),
        *(f"secretEnvironment.{name}" for name in canary_secrets),
    ]


def overlay(
    own: Mapping[str, Any], canary_settings: Mapping[str, Any], canary_secrets: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the config keys ``own`` overlaid with the canary's settings, whatever form the secrets have.

    A variable of the canary replaces stable's of the same name, plain or secret; null removes it.
    """
    result = {**own, **canary_settings}
    changed = canary_settings.get("environment", {})
    if not isinstance(changed, Mapping):
        return result  # invalid; validation reports it
    variables = cast(Mapping[str, Any], changed)
    result["environment"] = {
        **{name: value for name, value in own.get("environment", {}).items() if name not in canary_secrets},
        **variables,
    }
    result["environment"] = {name: value for name, value in result["environment"].items() if value is not None}
    secrets = {name: value for name, value in own.get("secretEnvironment", {}).items() if name not in variables}
    result["secretEnvironment"] = {**secrets, **canary_secrets}
    return result


class VerdictKeys(Keys):
    """How a canary of the service is judged."""

    verdict: Literal["traffic", "functional"] = Field(
        default="traffic",
        description="What a healthy verdict needs: `traffic`, users' requests that are as good as stable's;"
        " `functional`, only pods that stay up, `testCommands` and `testRequests`, for a service without metrics.",
    )
    test_requests: list[TestRequest] = Field(
        default=[],
        description="Requests that `verdict` sends to the canary's own Service, in order: `send` (`GET /path`), `form`"
        " (POST, PUT, PATCH) or `body` (sent as JSON), the expected `status` (200) and fields of the JSON `answer`, and"
        " fields to `save` for `{field}` in later paths. Redirects are not followed. After a failure the DELETE"
        " requests are still sent.",
    )
    request_metrics: MetricsPreset = Field(
        default="default",
        description="Names of the request metrics: `default` (docs/reference/metrics.md), or those of a library:"
        " `opentelemetry`, `micrometer`, `express-prom-bundle`, `fastapi-instrumentator`, `promhttp`, `istio`.",
    )
    request_metric_names: dict[MetricName, str] = Field(
        default={},
        description="Names that differ from the preset's: of the counter `requests`, the histogram `durations`, and"
        " the labels `method`, `route`, `status`.",
    )
    metrics_path: HttpPath = Field(default="/metrics", description="HTTP path of the Prometheus metrics.")
    request_source: Literal["first", SourceName] = Field(
        default="first",
        description="What counts the users' requests: `gateway` (Traefik's own metrics, any service), `pods` (the"
        " service's metrics, route by route), `prometheus` (`requestSelector`), or the `first` of these that has them.",
    )
    prometheus: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?|[a-z0-9][-a-z0-9]*/[a-z0-9][-a-z0-9]*:[a-z0-9][-a-z0-9]*)?$",
        examples=["monitoring/prometheus:9090"],
        description="Prometheus that `verdict` asks: its address as this machine sees it (`https://…`), or"
        " `NAMESPACE/SERVICE:PORT` for one in the cluster, which is reached through the API server.",
    )
    prometheus_token: str = Field(
        default="",
        repr=False,
        description="Bearer token for a Prometheus with an `https://` address. Set it with `pulumi config set --secret"
        " prometheusToken`.",
    )
    request_selector: str = Field(
        default="",
        examples=['destination_workload="$service-$track"'],
        description="Labels of one track's request metrics in Prometheus, with `$track`, and if needed `$service` and"
        " `$namespace`. `requestMetrics` says which metrics; a verdict then needs none of the pods' own.",
    )
    checks: list[QueryCheck] = Field(
        default=[],
        description="Figures from Prometheus that `verdict` compares: `name`, `query` (with `$track`), `better`"
        " (`lower` or `higher`), `limit` (how much worse the canary may be, such as 0.02 or `10%`), and the seconds"
        " between two values, `every` (15).",
    )
    warm_up_seconds: int = Field(
        default=30,
        ge=0,
        le=3600,
        description="Seconds after a pod's start in which its requests do not count in a verdict, because caches and"
        " connections are cold. The trial's time begins once the canary's pods are older.",
    )
    canary_error_limit: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="How much larger the canary's share of server errors (5xx) may be than stable's, in tenths of a"
        " percentage point.",
    )
    canary_latency_factor: str = Field(
        default="2",
        pattern=r"^(1\.[1-9][0-9]?|([2-9]|[1-9][0-9])(\.[0-9]{1,2})?)$",
        description="How many times slower than stable the canary may be, in the median and in the tail.",
    )
    canary_latency_percentile: int = Field(
        default=95,
        ge=51,
        le=99,
        description="Percentile of the latency that is judged as its tail. 99 detects a slowdown of 1 request in 50,"
        " but needs more requests.",
    )
    canary_latency_floor_milliseconds: int = Field(
        default=0,
        ge=0,
        le=60000,
        description="Requests faster than this never count as slow. Set it for a service that answers in a few"
        " milliseconds, where a busy node alone makes a multiple of stable's latency.",
    )
    verdict_valid_hours: int = Field(
        default=24, ge=1, le=8760, description="Hours for which a healthy verdict allows a promotion."
    )

    @field_validator("prometheus_token")
    @classmethod
    def _protect_the_token(cls, token: str, info: ValidationInfo) -> str:
        if token and not str(info.data.get("prometheus", "https://")).startswith("https://"):
            raise ValueError("is only sent to a Prometheus whose address begins with https://; change `prometheus`")
        return token

    @field_validator("request_selector", "checks")
    @classmethod
    def _require_prometheus(cls, value: Any, info: ValidationInfo) -> Any:
        if value and not info.data.get("prometheus", "invalid"):
            raise ValueError("needs a Prometheus to ask: set `prometheus` too")
        return value

    @field_validator("request_selector")
    @classmethod
    def _require_track(cls, selector: str) -> str:
        if selector and not re.search(r"\$track\b", selector):
            raise ValueError("has no `$track`, so both tracks would have the same requests")
        return selector

    @field_validator("checks")
    @classmethod
    def _require_names(cls, checks: list[QueryCheck]) -> list[QueryCheck]:
        names = [check.name for check in checks]
        if double := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"has two checks named {double!r}; give each a name of its own")
        return checks

    @property
    def metrics(self) -> RequestMetrics:
        """Where the service's pods count their requests."""
        return request_metrics(self.request_metrics, self.request_metric_names, self.metrics_path)


class EventKeys(Keys):
    """Who hears of the stack's moves and failures. An address often contains a token, so it is a secret."""

    webhooks: dict[EnvironmentName, str] = Field(
        default={},
        repr=False,
        description="Addresses (http or https) that get an event as JSON after every move and every failure, name to"
        " address. Set one with `pulumi config set --secret --path webhooks.NAME`.",
    )
    slack_webhooks: dict[EnvironmentName, str] = Field(
        default={},
        repr=False,
        description="Slack's incoming webhooks, and those of services that take the same form. They get each event as a"
        " sentence. Set one with `pulumi config set --secret --path slackWebhooks.NAME`.",
    )


class StackSettings(Keys):
    """Where the stack runs."""

    cloud: str = Field(
        description=f"Where the stack runs: {', '.join(clouds())}. Never change it on an existing stack."
    )
    platform_stack: str = Field(
        default="",
        pattern=STACK_REFERENCE,
        examples=["prod"],
        description="Stack whose platform this one is released on: NAME or ORGANIZATION/PROJECT/NAME, on the same"
        " cloud. This stack then creates only a namespace and a database there. Unset: it provisions a platform.",
    )
    namespace: str = Field(
        default="addressbook",
        pattern=DNS_LABEL,
        description="Kubernetes namespace that the stack creates and owns.",
    )
    expires: str = Field(
        default="",
        pattern=r"^(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\dZ|)$",
        examples=["2026-12-03T15:00Z"],
        description="Time in UTC after which `unstack --expired` destroys this release stack. Unset: never.",
    )


PlatformKeysT = TypeVar("PlatformKeysT", bound=Keys)


@dataclass(frozen=True)
class Settings(Generic[PlatformKeysT]):
    """The validated stack config: one object per group of keys. ``platform`` is the cloud's group."""

    stack: StackSettings
    platform: PlatformKeysT
    release: ReleaseSettings
    service: ServiceSettings
    canary: CanaryKeys
    verdict: VerdictKeys

    @property
    def images_to_copy(self) -> set[str]:
        """Images that are not known to be in the stack's own registry."""
        return {image for image in self.release.pinned if not self.platform.owns_image(image)}


#: Groups that every cloud has.
COMMON = (StackSettings, ReleaseSettings, ServiceSettings, CanaryKeys, VerdictKeys, EventKeys)


def _by_digest(image: str) -> str:
    """Return REPOSITORY@sha256:DIGEST without the tag; "" if the image is named in another way."""
    return str(Image.parse(image) or "")
