"""Who owns which field of an object (`metadata.managedFields`), and what an update may take over.

Creates are plain POSTs, which leave a field manager of the operation `Update`; updates are server-side applies,
whose fields belong to the same name with the operation `Apply`: to the API server that is somebody else. So an update
first takes over what earlier creates, and people with kubectl, have left, as the official provider does.
"""

from __future__ import annotations

import re
from typing import Any

from lab.plugins.kubernetes.cluster import ApiError
from lab.plugins.properties import Properties

# Field managers (prefixes of their names) whose fields an update takes over, and by which operation they got them.
_TAKEN_OVER = (
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    ("pulumi-kubernetes", "Update"),
    ("pulumi-resource-kubernetes", "Update"),
)
_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]+)"(?P<scale> with subresource)?')


def _is_taken_over(entry: Properties) -> bool:
    # What came by a subresource (kubectl scale, an autoscaler) is left to its owner: changing it is a conflict.
    return not entry.get("subresource") and any(
        str(entry.get("manager", "")).startswith(prefix) and entry.get("operation") == operation
        for prefix, operation in _TAKEN_OVER
    )


def taken_over(live: Properties, field_manager: str) -> list[Properties] | None:
    """`managedFields` after the take-over; None if there is nothing to take over."""
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
    """Whether every conflict is with somebody whose fields the real update takes over first."""
    conflicts = [cause for cause in error.causes if cause.get("reason") == "FieldManagerConflict"]
    if not conflicts:
        return False
    for cause in conflicts:
        match = _CONFLICT.search(str(cause.get("message", "")))
        if match is None or match["scale"]:
            return False
        if not match["manager"].startswith(tuple(prefix for prefix, _ in _TAKEN_OVER)):
            return False
    return True


def owned_by_others(live: Properties, field_manager: str, path: tuple[Any, ...]) -> bool:
    """Whether only other field managers own the field at the path (of names, no list indices)."""
    ours = theirs = False
    for entry in live["metadata"].get("managedFields") or []:
        fields: Any = entry.get("fieldsV1") or {}
        for part in path:
            fields = fields.get(f"f:{part}") if isinstance(fields, dict) else None
        if fields is not None:
            ours, theirs = ours or entry["manager"] == field_manager, theirs or entry["manager"] != field_manager
    return theirs and not ours
