"""The owners of an object's fields (`metadata.managedFields`), and which of them an update replaces.

A create is a plain POST, so its fields belong to the manager with the operation `Update`. An update is a server-side
apply, so its fields belong to the same name with the operation `Apply`: to the API server, a different manager. That
is why an update first takes over the fields of earlier creates and of people with kubectl, as the official provider
does.
"""

from __future__ import annotations

import re

from lab.plugins.kubernetes.cluster import ApiError
from lab.plugins.properties import Properties

# Name prefix and operation of the managers whose fields an update takes over.
_TAKEN_OVER = (
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    ("pulumi-kubernetes", "Update"),
    ("pulumi-resource-kubernetes", "Update"),
)
_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]+)"(?P<scale> with subresource)?')


def _is_taken_over(entry: Properties) -> bool:
    # A field set through a subresource (kubectl scale, an autoscaler) stays with its owner: changing it is a conflict.
    return not entry.get("subresource") and any(
        str(entry.get("manager", "")).startswith(prefix) and entry.get("operation") == operation
        for prefix, operation in _TAKEN_OVER
    )


def taken_over(live: Properties, field_manager: str) -> list[Properties] | None:
    """Return `managedFields` as they are after the take-over, None if there is nothing to take over."""
    entries: list[Properties] = live["metadata"].get("managedFields") or []
    own = next((e for e in entries if e.get("manager") == field_manager and e.get("operation") == "Apply"), None)
    others = [entry for entry in entries if entry is not own]
    taken = [entry for entry in others if _is_taken_over(entry)]
    if not taken:
        return None
    first, *rest = [own, *taken] if own else taken
    merged = {**first, "manager": field_manager, "operation": "Apply"}
    for entry in rest:
        merged["fieldsV1"] = _union(merged.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
    return [*(entry for entry in others if entry not in taken), merged]


def _union(one: Properties, other: Properties) -> Properties:
    merged = dict(one)
    for key, fields in other.items():
        merged[key] = _union(merged[key], fields) if key in merged else fields
    return merged


def would_be_taken_over(error: ApiError) -> bool:
    """Return whether the real update would first take over the fields of every manager in this conflict."""
    conflicts = [cause for cause in error.causes if cause.get("reason") == "FieldManagerConflict"]
    matches = [_CONFLICT.search(str(cause.get("message", ""))) for cause in conflicts]
    prefixes = tuple(prefix for prefix, _ in _TAKEN_OVER)
    return bool(matches) and all(
        match is not None and not match["scale"] and match["manager"].startswith(prefixes) for match in matches
    )
