"""Turn the engine's config into settings, or report everything that is wrong with it in one message."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence, Set
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from components import registry_client
from contract.project import clouds, declared_defaults
from contract.settings import (
    COMMON,
    CanaryKeys,
    EventKeys,
    Keys,
    ReleaseSettings,
    ServiceSettings,
    Settings,
    StackSettings,
    VerdictKeys,
)
from stacks.entrance import MANAGED

Groups = Mapping[type[Keys], Keys]
Group = TypeVar("Group", bound=Keys)

#: Keys whose values are encrypted.
SECRET_KEYS = (
    *("secretEnvironment", "canarySecretEnvironment", "databaseServerPassword", "prometheusToken"),
    *sorted(EventKeys.key_names()),
)
#: Keys in plain text, each with the secret key of the same pods.
PLAIN_KEYS = {"environment": "secretEnvironment", "canarySettings": "canarySecretEnvironment"}


class ConfigError(ValueError):
    """Invalid stack config; the message has one line for each error."""


def parse(values: Mapping[str, str], platform: type[Keys] | None, secret_keys: Set[str] = frozenset()) -> Settings[Any]:
    """Turn the engine's config (key without its project prefix, value as text) into settings.

    ``platform`` is the chosen cloud's group of keys, None if there is no such cloud. ``secret_keys`` are the keys whose
    values are encrypted. Raises ConfigError with all errors at once.
    """
    cloud = values.get("cloud", "")
    defaults = declared_defaults()
    errors: list[str] = []
    if platform is None:
        errors.append(_error("cloud", cloud, f"no such cloud; choose one of: {', '.join(clouds())}"))
    hidden = secret_keys | {*SECRET_KEYS}
    errors += _unused_keys(values, cloud, platform, defaults, hidden)
    errors += _misplaced_secrets(values, secret_keys, defaults)
    groups: dict[type[Keys], Keys] = {}
    for group in (*COMMON, *([platform] if platform else [])):
        own = {key: values[key] for key in group.key_names() if key in values}
        if group is platform:  # the engine passes the declared default for an unset key; the cloud has its own
            own = {key: value for key, value in own.items() if value != defaults.get(key)}
        try:
            groups[group] = group.model_validate({key: decoded(value) for key, value in own.items()})
        except ValidationError as invalid:
            errors += [describe_error(error, group, hidden=hidden) for error in invalid.errors()]
    errors += _conflicts(values)
    errors += _canary_errors(groups, hidden)
    errors += _cloud_errors(groups, platform)
    errors += _missing_build_context(groups)
    errors += _forbidden_builds(groups)
    errors += _missing_copier(groups, platform)
    errors += platform.missing_prerequisites() if platform else []
    stack, release = _group(groups, StackSettings), _group(groups, ReleaseSettings)
    service, canary = _group(groups, ServiceSettings), _group(groups, CanaryKeys)
    verdict = _group(groups, VerdictKeys)
    if errors or platform is None or not stack or not release or not service or not canary or not verdict:
        raise ConfigError("\n".join(errors))
    return Settings(stack, groups[platform], release, service, canary, verdict)


def _misplaced_secrets(values: Mapping[str, str], secret_keys: Set[str], defaults: Mapping[str, str]) -> list[str]:
    """Return an error for each secret key in plain text, and each plain key that contains a secret."""
    plain = [key for key in SECRET_KEYS if values.get(key, defaults[key]) != defaults[key] and key not in secret_keys]
    return [
        *(
            f"{key}: is in plain text; set each variable with `pulumi config set --secret --path {key}.NAME`"
            if defaults[key] == "{}"
            else f"{key}: is in plain text; encrypt it with `pulumi config set --secret {key}`"
            for key in plain
        ),
        *(
            f"{key}: contains a secret, which pods would get from a ConfigMap that anyone may read; move it to"
            f" {secret_key} with `pulumi config set --secret --path {secret_key}.NAME`"
            for key, secret_key in PLAIN_KEYS.items()
            if key in secret_keys
        ),
    ]


def _group(groups: Groups, kind: type[Group]) -> Group | None:
    """Return the group, or None if it is invalid; its own errors are reported then."""
    group = groups.get(kind)
    return group if isinstance(group, kind) else None


def decoded(text: str) -> Any:
    """Decode objects and arrays, which the engine passes as JSON. Fields convert numbers and booleans themselves."""
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text


def _conflicts(values: Mapping[str, str]) -> list[str]:
    """Return the conflicts between individually valid keys.

    They are read from the text, so that an error in one key hides no conflict.
    """
    image, replicas, traffic = (values.get(key, "") for key in ("canaryImage", "canaryReplicas", "traffic"))
    canary_pods = int(replicas) if replicas.isdecimal() else 0
    errors: list[str] = []
    if canary_pods and not image:
        errors.append(
            f"canaryReplicas is {canary_pods} but there is no canaryImage; set canaryImage to `source` or to"
            " REPOSITORY@sha256:DIGEST, or canaryReplicas to 0"
        )
    if traffic == "canary" and not (canary_pods and image):
        errors.append(
            "traffic is `canary` but no canary is declared; set canaryImage and canaryReplicas, or set traffic to"
            " `split` or `stable`"
        )
    for key in CanaryKeys.key_names():
        if values.get(key, "{}") != "{}" and not (canary_pods and image):
            errors.append(
                f"{key}: no canary is declared, so nothing tries these settings; start one with `python -m promotion"
                f" canary`, or remove the key with `pulumi config rm {key}`"
            )
    errors += _gateway_conflicts(values)
    if values.get("port") and values.get("port") == values.get("metricsPort"):
        errors.append(f"metricsPort and port are both {values['port']}; set metricsPort to another port")
    if values.get("metricsDiscovery") and values.get("metricsPort") == "0":
        errors.append(
            "metricsDiscovery is set but metricsPort is 0, so there are no metrics to find; set metricsPort, or remove"
            " the key with `pulumi config rm metricsDiscovery`"
        )
    return errors


def _gateway_conflicts(values: Mapping[str, str]) -> list[str]:
    gateway = values.get("gateway", "")
    if gateway == MANAGED and values.get("sticky") == "true":
        return [
            "sticky: the cloud's own Gateway cannot keep a browser with a version; name a GatewayClass of Traefik in"
            " `gateway`, or remove the key with `pulumi config rm sticky`"
        ]
    if gateway:
        return []
    return [
        f"{key}: needs `gateway`, because a load balancer shares the users by pods; set `gateway`, or remove the key"
        f" with `pulumi config rm {key}`"
        for key in ("canaryWeight", "canaryHeader", "sticky")
        if values.get(key, "") not in ("", "false")
    ]


def _canary_errors(groups: Groups, hidden: Set[str]) -> list[str]:
    """Return the errors in the canary's settings, each at its full path."""
    service, release = _group(groups, ServiceSettings), _group(groups, ReleaseSettings)
    canary = _group(groups, CanaryKeys)
    if not service or not release or not canary:
        return []
    settings, allowed = canary.canary_settings, ServiceSettings.track_keys()
    errors = [
        _error(f"canarySettings.{key}", None, f"is not a setting of one track's pods; allowed: {', '.join(allowed)}")
        for key in settings
        if key not in allowed
    ]
    if errors:
        return errors
    variables = cast(Mapping[str, Any], settings.get("environment", {}))
    errors += [
        f"canarySettings.environment.{name}: is in canarySecretEnvironment too; remove one of them"
        for name in canary.canary_secret_environment
        if name in variables
    ]
    if "migrateCommand" in settings and release.canary_image == (release.stable_image or "source"):
        errors.append(
            "canarySettings.migrateCommand: the canary runs stable's image, which has been migrated already; change"
            " migrateCommand itself"
        )
    try:
        overlaid = canary.over(service)
    except ValidationError as invalid:
        return errors + [
            describe_error(error, ServiceSettings, "canarySettings", hidden=hidden) for error in invalid.errors()
        ]
    if {"port", "metricsPort"} & settings.keys() and overlaid.port == overlaid.metrics_port:
        errors.append(f"canarySettings: the canary's metricsPort and port are both {overlaid.port}; change one of them")
    return errors


def _cloud_errors(groups: Groups, platform: type[Keys] | None) -> list[str]:
    """Return the settings of the service, and of the canary, that the cloud would change or cannot have."""
    service, keys = _group(groups, ServiceSettings), _group(groups, platform) if platform else None
    canary = _group(groups, CanaryKeys)
    if not service or not keys or not canary:
        return []
    errors = keys.service_errors(service)
    try:
        overlaid = keys.service_errors(canary.over(service))
    except ValidationError:
        return errors  # reported as the canary's own error
    overlaid += keys.canary_errors(canary.canary_settings)
    return [*errors, *(f"canarySettings.{error}" for error in overlaid if error not in errors)]


def _missing_build_context(groups: Groups) -> list[str]:
    service, release = _group(groups, ServiceSettings), _group(groups, ReleaseSettings)
    if not service or not release or not release.builds_from_source:
        return []
    if (service.context_folder / service.dockerfile).is_file():
        return []
    return [_error("buildContext", service.build_context, f"there is no {service.dockerfile} in that folder")]


def _missing_copier(groups: Groups, platform: type[Keys] | None) -> list[str]:
    release, keys = _group(groups, ReleaseSettings), _group(groups, platform) if platform else None
    if not release or not keys:
        return []
    return registry_client.missing_prerequisites(
        {image for image in release.pinned | keys.pinned if keys.owns_image(image) is False}
    )


def _forbidden_builds(groups: Groups) -> list[str]:
    release = _group(groups, ReleaseSettings)
    if not release or not (release.build_from_source == "never" or release.image_verification):
        return []
    reason = "imageVerification is set" if release.image_verification else "buildFromSource is `never`"
    return [
        f"{key}: this stack builds nothing ({reason}); name an existing image as REPOSITORY@sha256:DIGEST"
        for key in [*release.unpinned, *(["buildAhead"] if release.build_ahead else [])]
    ]


def _unused_keys(
    values: Mapping[str, str],
    cloud: str,
    platform: type[Keys] | None,
    defaults: Mapping[str, str],
    hidden: Set[str],
) -> list[str]:
    """Return an error for each misspelt key, and for each key of another cloud or of another stack's platform."""
    used = {key for group in (*COMMON, *([platform] if platform else [])) for key in group.key_names()}
    declared = {"cloud", *defaults}
    platform_stack = values.get("platformStack", "")
    errors: list[str] = []
    for key, value in sorted(values.items()):
        if key not in declared:
            near = difflib.get_close_matches(key, declared, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "docs/reference/config.md lists the keys"
            errors.append(f"{key}: no such key; {hint} (`pulumi config rm {key}` removes it)")
        elif key not in used and platform is not None and value != defaults[key]:
            owner = f"a stack on the platform of `{platform_stack}`" if platform_stack else f"cloud `{cloud}`"
            shown = None if key in hidden else value
            errors.append(_error(key, shown, f"{owner} does not use this key (`pulumi config rm {key}` removes it)"))
    return errors


def _error(key: str, value: object, problem: str) -> str:
    shown = f" = {value!r}" if value not in ("", None) else ""
    return f"{key}{shown}: {problem}"


#: Clearer messages than pydantic's, by its error type.
_MESSAGES = {
    "missing": "is not set and has no default",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "literal_error": "must be {expected}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "string_type": "must be text; put it in quotes",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


def describe_error(
    error: Any, group: type[Keys], parent: str = "", *, hidden: Set[str] = frozenset(SECRET_KEYS)
) -> str:
    """Return one sentence for one of pydantic's errors: key, value, what is allowed, how to set it.

    ``parent`` is the key whose object contains the group's keys; "" if they are keys of the config. The values of
    ``hidden`` keys are left out.
    """
    context: dict[str, Any] = error.get("ctx", {})
    first, *rest = error["loc"]
    field = group.model_fields.get(str(first))  # an invalid default is reported under the field's name
    location: Sequence[str | int] = [(field and field.alias) or first, *rest]
    message = _MESSAGES.get(error["type"])
    problem = message.format(**context) if message else str(error["msg"]).removeprefix("Value error, ")
    key = ".".join(str(part) for part in location if part != "[key]")
    hide = bool({location[0], parent} & hidden) or error["type"] == "missing"
    target = f"--path {parent}.{key}" if parent else location[0]
    example = _example(group, location[0], or_default=error["type"] == "string_pattern_mismatch")
    remedy = f"`pulumi config set {target} VALUE`{example}"
    if error["type"] == "unused":
        remedy = f"`pulumi config rm {location[0]}` removes it"
    return _error(f"{parent}.{key}" if parent else key, None if hide else error["input"], f"{problem} ({remedy})")


def _example(group: type[Keys], key: str | int, *, or_default: bool) -> str:
    """Return ", for example VALUE" for a key that declares an example (or has a default), else ""."""
    field = next((field for field in group.model_fields.values() if field.alias == key), None)
    examples = (field and field.examples) or ([field.default] if field and or_default and field.default else [])
    return f", for example {examples[0]}" if examples else ""
