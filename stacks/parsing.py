"""The engine's config turned into settings, or all that is wrong with it said in one message."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Set
from typing import Any, cast

from pydantic import ValidationError

from components import registry_client
from contract.project import clouds, declared_defaults
from contract.settings import COMMON, Keys, ReleaseSettings, ServiceSettings, Settings, StackSettings


class ConfigError(ValueError):
    """Wrong stack config; the message names every fault found, one a line."""


def parse(values: Mapping[str, str], platform: type[Keys] | None, secret_keys: Set[str] = frozenset()) -> Settings[Any]:
    """Turn the engine's config (key without its project prefix, value as text) into settings.

    ``platform`` holds the keys of the chosen cloud's platform, None when there is no such cloud; ``secret_keys`` names
    the keys whose values were encrypted. Raises ConfigError with all faults at once.
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
    faults += platform.missing_prerequisites() if platform else []
    if faults or platform is None:
        raise ConfigError("\n".join(faults))
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
    return registry_client.missing_prerequisites(
        {image for image in release.pinned | keys.pinned if keys.owns_image(image) is False}
    )


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
