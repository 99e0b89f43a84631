"""Move the settings of a trial to stable, or return stable to earlier ones, as edits of the stack file.

A secret moves as ciphertext; nothing here decrypts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from contract.project import declared_defaults
from contract.settings import ServiceSettings, overlay
from promotion.errors import WRONG_USE, CommandError
from promotion.state.engine_yaml import normal_form, text_of
from promotion.state.history import SECRET
from promotion.state.stack_file import Edits

VARIABLES = ("environment", "secretEnvironment")


def canary_settings_to_stable(config: Mapping[str, Any]) -> Edits:
    """Return the edits that give stable the canary's settings.

    ``config`` has the keys of the file, decoded, or those of an update in the history, which hides secrets. Raises
    CommandError if a key is not an object, or is encrypted as a whole, which hides the names of its variables.
    """
    hidden = SECRET in (config.get("secretEnvironment"), config.get("canarySecretEnvironment"))
    if hidden:
        plain = {key: value for key, value in config.items() if value != SECRET}
        return {**canary_settings_to_stable(plain), "secretEnvironment": SECRET}
    settings = _object(config, "canarySettings")
    secrets = _object(config, "canarySecretEnvironment")
    if not settings and not secrets:
        return {}
    own = {key: _object(config, key) for key in VARIABLES}
    result = overlay(own, settings, secrets)
    return {
        key: text_of(value) if value not in ({}, []) or key not in VARIABLES else None
        for key, value in result.items()
        if key not in VARIABLES or value != own[key]
    }


def earlier_settings(earlier: Mapping[str, str], config: Mapping[str, Any]) -> Edits:
    """Return the edits that give stable the settings of an earlier config, which the history has as text.

    ``config`` has the file's keys, decoded. Secret variables are removed if the earlier config had none; otherwise they
    stay as they are, since the history hides them here.
    """
    defaults = {key: normal_form(value) for key, value in declared_defaults().items()}
    edits: dict[str, str | None] = {}
    for key in ServiceSettings.track_keys():
        value = normal_form(earlier.get(key, defaults[key]))
        if value not in (SECRET, normal_form(text_of(config.get(key, defaults[key])))):
            edits[key] = None if value == defaults[key] else value
    if earlier.get("secretEnvironment", "{}") == "{}" and config.get("secretEnvironment"):
        edits["secretEnvironment"] = None
    return edits


def _object(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object at a key. Raises CommandError."""
    value: Any = config.get(key) or {}
    if isinstance(value, str):  # the engine accepts an object in JSON
        with suppress(ValueError):
            value = json.loads(value)
    if not isinstance(value, Mapping):
        raise CommandError(f"{key} is not an object; write it as `{key}: {{NAME: VALUE}}`", WRONG_USE)
    mapping = cast(Mapping[str, Any], value)
    if set(mapping) == {"secure"} and isinstance(mapping["secure"], str):
        remedy = f"set each variable with `pulumi config set --secret --path {key}.NAME`"
        raise CommandError(f"{key} is encrypted as a whole, so its variables cannot be merged; {remedy}", WRONG_USE)
    return mapping
