"""Kubernetes objects as the engine keeps them: names, ids, and the inputs behind the live object.

A resource's outputs are the live object and three more keys that an update needs: the inputs, the API version the
object was created with, and the field manager that owns its fields.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Any

from lab.plugins.kubernetes.quantities import normalize_quantities
from lab.plugins.properties import UNKNOWN, Properties, Secret, Unknown, Value, contains_unknown, keep_secret, plain

INPUTS = "__inputs"
INITIAL_API_VERSION = "__initialApiVersion"
FIELD_MANAGER = "__fieldManager"

AUTONAMED = "pulumi.com/autonamed"

# Only the API server sets these fields of the metadata.
_READ_ONLY = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
# A dry run has other values here than the real request.
_UNPREDICTABLE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")
# Annotations that controllers and kubectl keep for themselves.
_BOOKKEEPING = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


def metadata(obj: Properties) -> Properties:
    """Return the object's metadata, empty when missing or unknown."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name_of(obj: Properties) -> str:
    name = metadata(obj).get("name")
    return name if isinstance(name, str) else ""


def namespace_of(obj: Properties) -> str:
    namespace = metadata(obj).get("namespace")
    return namespace if isinstance(namespace, str) else ""


def annotation(obj: Properties, key: str) -> str:
    """Return an annotation's value, empty when missing or unknown."""
    annotations = metadata(obj).get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def annotated(obj: Properties, key: str) -> bool:
    return annotation(obj, key) == "true"


def resource_id(obj: Properties) -> str:
    """Return `namespace/name`, or `name` for an object without a namespace."""
    namespace, name = namespace_of(obj), name_of(obj)
    return f"{namespace}/{name}" if namespace else name


def parse_id(identifier: str) -> tuple[str, str]:
    """Return namespace (may be empty) and name of a resource's id."""
    namespace, _, name = identifier.rpartition("/")
    return namespace, name


def to_object(properties: Properties) -> Properties:
    """Return a Kubernetes object from properties: secrets opened, nulls dropped."""
    return _without_nulls(plain(properties))


def _without_nulls(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _without_nulls(element) for key, element in value.items() if element is not None}
    if isinstance(value, list):
        return [_without_nulls(element) for element in value]
    return value


def named(obj: Properties) -> bool:
    """Return whether the object has a name, known or not."""
    return bool(name_of(obj)) or isinstance(metadata(obj).get("name"), Unknown)


def set_metadata(obj: Properties, key: str, value: Value) -> None:
    """Set a field of the object's metadata, unless the metadata is unknown."""
    if not isinstance(obj.get("metadata"), Unknown):
        obj.setdefault("metadata", {})[key] = value


def autoname(obj: Properties, name: str) -> None:
    """Name the object, and note on it that the name was generated."""
    set_metadata(obj, "name", name)
    annotations = metadata(obj).get("annotations")
    if not isinstance(annotations, Unknown):
        set_metadata(obj, "annotations", {**(annotations or {}), AUTONAMED: "true"})


def unique_name(prefix: str, seed: bytes) -> str:
    """Return the prefix and eight hexadecimal digits. One seed gives one name, in a preview and in its update."""
    digits = hashlib.sha256(seed + prefix.encode()).hexdigest()[:8] if seed else os.urandom(4).hex()
    return f"{prefix}-{digits}"


def normalize(obj: Properties) -> Properties:
    """Return the inputs as the API server will store them, so that equal values do not differ."""
    if obj.get("kind") == "Secret":
        obj = _normalize_secret(obj)
    elif not contains_unknown(obj):
        obj = normalize_quantities(obj)
    if isinstance(obj.get("metadata"), dict):
        kept = {key: value for key, value in obj["metadata"].items() if key not in _READ_ONLY}
        obj = {**obj, "metadata": kept}
    return obj


def _normalize_secret(obj: Properties) -> Properties:
    """Move `stringData` into `data`, as the API server does."""
    data, texts = obj.get("data"), obj.get("stringData")
    if contains_unknown(data) or contains_unknown(texts):
        return obj
    merged = {key: _canonical_base64(value) for key, value in (data or {}).items()}
    for key, text in (texts or {}).items():
        merged[key] = base64.b64encode(str(text).encode()).decode()
    rest = {key: value for key, value in obj.items() if key not in ("data", "stringData")}
    return {**rest, "data": merged} if data is not None or texts else rest


def _canonical_base64(value: Any) -> Any:
    try:
        return base64.b64encode(base64.b64decode(value, validate=False)).decode()
    except (TypeError, ValueError, binascii.Error):
        return value  # The API server refuses it and says why.


def prune(live: Value, inputs: Value) -> Value:
    """Return the live object's fields that the inputs set. All others belong to the cluster.

    The API server drops empty values (`hostNetwork: false`, `env: []`), so those count as present.
    """
    if isinstance(live, dict) and isinstance(inputs, dict):
        kept = {key: prune(value, inputs[key]) for key, value in live.items() if key in inputs}
        return kept | {key: value for key, value in inputs.items() if key not in live and _is_empty(value)}
    if isinstance(live, list) and isinstance(inputs, list):
        if not live or not inputs or type(live[0]) is not type(inputs[0]):
            return list(live) if live and inputs else []
        # Further elements belong to others, such as a webhook's sidecars.
        return [prune(value, target) for value, target in zip(live, inputs, strict=False)]
    return live


def _is_empty(value: Value) -> bool:
    if isinstance(value, dict):
        return all(_is_empty(element) for element in value.values())
    return value in (False, "", 0, []) and not isinstance(value, Unknown)


def checkpoint(
    inputs: Properties, live: Properties, given: Properties, initial_api_version: str, field_manager: str
) -> Properties:
    """Return a resource's outputs. Whatever is secret in `given` is secret in them."""
    return {
        **hide_secrets(live, given),
        INPUTS: hide_secrets(inputs, given),
        INITIAL_API_VERSION: initial_api_version,
        FIELD_MANAGER: field_manager,
    }


def parse_checkpoint(outputs: Properties) -> tuple[Properties, Properties]:
    """Return the inputs and the live object of a resource's outputs."""
    live = to_object(outputs)
    inputs = live.pop(INPUTS, {})
    live.pop(INITIAL_API_VERSION, None)
    live.pop(FIELD_MANAGER, None)
    return inputs, live


def hide_secrets(obj: Properties, given: Properties) -> Properties:
    """Return the object with the values secret that are secret in `given`. A Secret's data always is."""
    hidden = keep_secret(obj, given)
    if hidden.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in hidden and not isinstance(hidden[key], Secret):
                hidden[key] = Secret(plain(hidden[key]))
    return hidden


def predicted(dry_run: Properties, inputs: Properties) -> Properties:
    """Return a dry run's object, with the fields unknown that only the real object will have."""
    obj = {key: value for key, value in dry_run.items() if key != "status"}
    obj["metadata"] = {key: UNKNOWN if key in _UNPREDICTABLE else value for key, value in metadata(dry_run).items()}
    if obj.get("kind") == "Service" and isinstance(obj.get("spec"), dict):
        chosen = inputs.get("spec") or {}
        allocated = {key: UNKNOWN for key in ("clusterIP", "clusterIPs") if key in obj["spec"] and key not in chosen}
        obj["spec"] = {**obj["spec"], **allocated}
    return obj


def importable(live: Properties) -> Properties:
    """Return the inputs that a program would declare to get this live object."""
    inputs = normalize({key: value for key, value in live.items() if key != "status"})
    kept = dict(inputs["metadata"])
    annotations = {
        key: value for key, value in (kept.pop("annotations", None) or {}).items() if key not in _BOOKKEEPING
    }
    return {**inputs, "metadata": {**kept, "annotations": annotations} if annotations else kept}
