"""Kubernetes objects as the engine keeps them: names, ids, and the inputs behind what the cluster made of them.

The outputs that are stored for a resource are the live object, and under three more keys what an update needs to
know: the inputs it came from, the API version it was made with, and the field manager that owns its fields.
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
PATCH_FIELD_MANAGER = "pulumi.com/patchFieldManager"
MANAGED_BY = "app.kubernetes.io/managed-by"

# What only the API server sets.
_READ_ONLY = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
# What differs between a dry run and the real thing.
_UNPREDICTABLE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")
# What controllers and kubectl note down on objects for themselves.
_NOTES = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
# Go, and so the official SDKs, can't have dashes in names: these are spelt with underscores in programs.
_DASHED = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource",
        "int_or_string",
        "list_map_keys",
        "list_type",
        "map_type",
        "preserve_unknown_fields",
        "validations",
    )
}
_UNDERSCORED = {dashed: underscored for underscored, dashed in _DASHED.items()}


def type_to_kind(resource_type: str) -> tuple[str, str]:
    """`apiVersion` and `kind` from a type token: `kubernetes:apps/v1:Deployment`, `kubernetes:core/v1:Secret`."""
    _, module, kind = resource_type.split(":")
    group, _, version = module.rpartition("/")
    return (version if group in ("", "core") else module), kind


def metadata(obj: Properties) -> Properties:
    """The object's metadata, empty where it is missing or unknown."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name_of(obj: Properties) -> str:
    name = metadata(obj).get("name")
    return name if isinstance(name, str) else ""


def namespace_of(obj: Properties) -> str:
    namespace = metadata(obj).get("namespace")
    return namespace if isinstance(namespace, str) else ""


def annotation(obj: Properties, key: str) -> str:
    """An annotation's value, empty where it is missing or unknown."""
    annotations = metadata(obj).get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def annotated(obj: Properties, key: str) -> bool:
    return annotation(obj, key) == "true"


def resource_id(obj: Properties) -> str:
    """`namespace/name`, or `name` for what is in no namespace."""
    namespace, name = namespace_of(obj), name_of(obj)
    return f"{namespace}/{name}" if namespace else name


def parse_id(identifier: str) -> tuple[str, str]:
    """Namespace (may be empty) and name from a resource's id."""
    namespace, separator, name = identifier.partition("/")
    return (namespace, name) if separator else ("", namespace)


def without_nulls(value: Value) -> Value:
    """The value without the entries that are null, as the official provider reads properties."""
    if isinstance(value, Secret):
        return Secret(without_nulls(value.value))
    if isinstance(value, dict):
        return {key: without_nulls(element) for key, element in value.items() if element is not None}
    if isinstance(value, list):
        return [without_nulls(element) for element in value]
    return value


def to_object(properties: Properties) -> Properties:
    """A Kubernetes object from properties: secrets laid open, names as the API has them."""
    return _renamed(plain(without_nulls(properties)), _DASHED)


def _renamed(value: Value, names: dict[str, str]) -> Value:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(element, names) for key, element in value.items()}
    if isinstance(value, list):
        return [_renamed(element, names) for element in value]
    return value


def named(obj: Properties) -> bool:
    """Whether the object has a name, be it one that isn't known yet."""
    return bool(name_of(obj)) or isinstance(metadata(obj).get("name"), Unknown)


def set_metadata(obj: Properties, key: str, value: Value) -> None:
    """Set an entry of the object's metadata, unless that isn't known yet."""
    if isinstance(obj.get("metadata"), Unknown):
        return
    obj.setdefault("metadata", {})[key] = value


def _set_in_map(obj: Properties, field: str, key: str, value: str) -> None:
    entries = metadata(obj).get(field)
    if not isinstance(entries, Unknown):
        set_metadata(obj, field, {**(entries or {}), key: value})


def autoname(obj: Properties, name: str) -> None:
    """Give the object a name that nobody chose, and say so on it."""
    set_metadata(obj, "name", name)
    _set_in_map(obj, "annotations", AUTONAMED, "true")


def unique_name(prefix: str, seed: bytes) -> str:
    """The prefix and eight hexadecimal digits: the same ones for the same seed, as a preview and its update need."""
    digits = hashlib.sha256(seed + prefix.encode()).hexdigest()[:8] if seed else os.urandom(4).hex()
    return f"{prefix}-{digits}"


def label_managed_by(obj: Properties) -> None:
    """Client-side apply leaves no other trace of who manages an object than this label."""
    _set_in_map(obj, "labels", MANAGED_BY, managed_by())


def managed_by() -> str:
    return os.environ.get("PULUMI_KUBERNETES_MANAGED_BY_LABEL", "pulumi")


def normalize(obj: Properties) -> Properties:
    """The inputs in the form in which the API server will store them, so that equal things don't differ."""
    if obj.get("kind") == "CustomResourceDefinition":
        obj = {key: value for key, value in obj.items() if key != "status"}
        if isinstance(obj.get("spec"), dict) and obj["spec"].get("preserveUnknownFields") is False:
            obj["spec"] = {key: value for key, value in obj["spec"].items() if key != "preserveUnknownFields"}
    elif obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1":
        obj = _normalize_secret(obj)
    elif not contains_unknown(obj):
        obj = normalize_quantities(obj)
    if isinstance(obj.get("metadata"), dict):
        kept = {key: value for key, value in obj["metadata"].items() if key not in _READ_ONLY}
        obj = {**obj, "metadata": kept}
    return obj


def _normalize_secret(obj: Properties) -> Properties:
    """`stringData` is for writing only: the API server makes `data` of it."""
    data, texts = obj.get("data"), obj.get("stringData")
    if contains_unknown(data) or contains_unknown(texts):
        return obj
    merged = {key: _base64_again(value) for key, value in (data or {}).items()}
    for key, text in (texts or {}).items():
        merged[key] = base64.b64encode(str(text).encode()).decode()
    rest = {key: value for key, value in obj.items() if key not in ("data", "stringData")}
    return {**rest, "data": merged} if data is not None or texts else rest


def _base64_again(value: Any) -> Any:
    try:
        return base64.b64encode(base64.b64decode(value, validate=False)).decode()
    except (TypeError, ValueError, binascii.Error):
        return value  # The API server will refuse it, and say why.


def prune(live: Value, wanted: Value) -> Value:
    """What the live object has under the names that the inputs set; the rest is the cluster's business.

    What says nothing (`hostNetwork: false`, `env: []`) the API server doesn't store: it counts as being there.
    """
    if isinstance(live, dict) and isinstance(wanted, dict):
        kept = {key: prune(value, wanted[key]) for key, value in live.items() if key in wanted}
        return kept | {key: value for key, value in wanted.items() if key not in live and _says_nothing(value)}
    if isinstance(live, list) and isinstance(wanted, list):
        if not live or not wanted or type(live[0]) is not type(wanted[0]):
            return list(live) if live and wanted else []
        # Elements beyond the wanted ones belong to others (sidecars that a webhook added, for example).
        return [prune(value, target) for value, target in zip(live, wanted, strict=False)]
    return live


def _says_nothing(value: Value) -> bool:
    if isinstance(value, dict):
        return all(_says_nothing(element) for element in value.values())
    return value in (False, "", 0, []) and not isinstance(value, Unknown)


def checkpoint(
    inputs: Properties, live: Properties, given: Properties, initial_api_version: str, field_manager: str
) -> Properties:
    """A resource's outputs. `given` are the properties the inputs came from, with what is secret in them."""
    outputs = hide_secrets(_renamed(live, _UNDERSCORED), given)
    outputs[INPUTS] = hide_secrets(_renamed(inputs, _UNDERSCORED), given)
    outputs[INITIAL_API_VERSION] = initial_api_version
    outputs[FIELD_MANAGER] = field_manager
    return outputs


def parse_checkpoint(outputs: Properties) -> tuple[Properties, Properties]:
    """The inputs and the live object in a resource's outputs."""
    live = to_object(outputs)
    inputs = live.pop(INPUTS, {})
    live.pop(INITIAL_API_VERSION, None)
    live.pop(FIELD_MANAGER, None)
    return inputs, live


def hide_secrets(obj: Properties, given: Properties) -> Properties:
    """The object with everything secret that is secret in `given`; a Secret's data always is."""
    hidden = keep_secret(obj, given)
    if hidden.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in hidden and not isinstance(hidden[key], Secret):
                hidden[key] = Secret(plain(hidden[key]))
    return hidden


def foretell(dry_run: Properties, inputs: Properties) -> Properties:
    """What a dry run tells of an object to be made, with what only the real one will have as unknown."""
    told = {key: value for key, value in dry_run.items() if key != "status"}
    told["metadata"] = {key: UNKNOWN if key in _UNPREDICTABLE else value for key, value in metadata(dry_run).items()}
    if told.get("kind") == "Service" and told.get("apiVersion") == "v1" and isinstance(told.get("spec"), dict):
        wanted = inputs.get("spec") or {}
        allocated = {key: UNKNOWN for key in ("clusterIP", "clusterIPs") if key in told["spec"] and key not in wanted}
        told["spec"] = {**told["spec"], **allocated}
    return told


def importable(live: Properties) -> Properties:
    """The inputs that a live object would have which no program has declared yet."""
    inputs = normalize({key: value for key, value in live.items() if key != "status"})
    kept = dict(inputs["metadata"])
    annotations = {key: value for key, value in (kept.pop("annotations", None) or {}).items() if key not in _NOTES}
    return {**inputs, "metadata": {**kept, "annotations": annotations} if annotations else kept}
