"""A release stack whose first update was killed: no history has its config, but its namespace says when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import yaml

from contract.platform import EXPIRES, PLATFORM_STACK

NAMESPACE = "kubernetes:core/v1:Namespace"


def unfinished_config(deployment: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys that an exported deployment's namespace names; empty unless the stack has an end."""
    resources = cast(list[dict[str, Any]], deployment.get("resources") or [])
    pending = cast(list[dict[str, Any]], deployment.get("pending_operations") or [])
    for resource in (*resources, *(each["resource"] for each in pending)):
        inputs = cast(dict[str, Any], resource.get("inputs") or {}) if resource["type"] == NAMESPACE else {}
        metadata = cast(dict[str, Any], inputs.get("metadata") or {})
        annotations = cast(dict[str, str], metadata.get("annotations") or {})
        if EXPIRES in annotations and PLATFORM_STACK in annotations:
            return {
                "platformStack": annotations[PLATFORM_STACK],
                "namespace": metadata["name"],
                "expires": annotations[EXPIRES],
            }
    return {}


def unfinished_file(deployment: Mapping[str, Any], prefix: str) -> str:
    """Return the text of a stack file that suffices to destroy the stack; "" if the namespace lacks what it needs.

    ``prefix`` is that of the project's keys.
    """
    config = unfinished_config(deployment)
    if not config:
        return ""
    provider = cast(dict[str, Any], deployment.get("secrets_providers") or {})
    state = cast(dict[str, str], provider.get("state") or {})
    match provider.get("type"):
        case "passphrase":
            encryption = {"encryptionsalt": state["salt"]}
        case "cloud":
            encryption = {"secretsprovider": state["url"], "encryptedkey": state["encryptedkey"]}
        case _:  # the backend's own
            encryption = {}
    keys = {f"{prefix}{key}": value for key, value in config.items()}
    return yaml.safe_dump({"config": keys, **encryption}, sort_keys=False, width=1000)
