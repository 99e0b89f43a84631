"""Create, change and delete objects: the requests, and what their errors mean."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from lab.plugins.kubernetes import field_managers
from lab.plugins.kubernetes.autopilot import admitted
from lab.plugins.kubernetes.cluster import APPLY_PATCH, JSON_PATCH, ApiError, Cluster
from lab.plugins.kubernetes.kinds import KINDS
from lab.plugins.kubernetes.objects import annotated, annotation, name_of, namespace_of
from lab.plugins.properties import Properties

# A namespace may be a moment behind its first object: retries after 1, 2, 4, 8 and 16 s.
RETRIES = 5
PATCH_FORCE = "pulumi.com/patchForce"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
CONFLICT_HELP = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/"
    "managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources"
)


class ConflictError(Exception):
    """Another field manager owns a field that the update changes."""


@dataclass(frozen=True)
class Writer:
    """Writes one object as one field manager. With `dry_run` nothing is stored.

    ``patch_force`` is the provider's argument; None means that the object decides.
    """

    cluster: Cluster
    patch_force: bool | None
    field_manager: str
    dry_run: bool

    def _query(self, **more: str) -> dict[str, str]:
        query = {"fieldManager": self.field_manager, "fieldValidation": "Strict", **more}
        return {**query, "dryRun": "All"} if self.dry_run else query

    def create(self, obj: Properties, cancelled: threading.Event) -> Properties:
        """Create the object and return it. Raises ApiError, also when it exists already, or UnreachableError."""
        path = KINDS[obj["kind"]].path(namespace_of(obj))
        for attempt in range(RETRIES):
            try:
                return self.cluster.request("POST", path, self._query(), admitted(obj))
            except ApiError as error:
                if self.dry_run or not error.not_found or cancelled.wait(2**attempt):
                    raise
        return self.cluster.request("POST", path, self._query(), admitted(obj))

    def update(self, obj: Properties, live: Properties) -> Properties:
        """Change the live object to the inputs and return it. Raises ApiError, ConflictError or UnreachableError."""
        path = KINDS[obj["kind"]].path(namespace_of(live), name_of(live))
        if not self.dry_run and (entries := field_managers.taken_over(live, self.field_manager)):
            patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
            live = self.cluster.request("PATCH", path, None, patch, JSON_PATCH)
        try:
            return self._apply(path, obj, self._force(obj, live))
        except ApiError as error:
            if not error.conflict:
                raise
            if self.dry_run and field_managers.would_be_taken_over(error):
                return self._apply(path, obj, force=True)
            raise ConflictError(
                f"Server-Side Apply field conflict detected. See {CONFLICT_HELP} for troubleshooting help.\n"
                f'The resource managed by field manager "{self.field_manager}" had an apply conflict: {error}'
            ) from None

    def _apply(self, path: str, obj: Any, force: bool) -> Properties:
        return self.cluster.request("PATCH", path, self._query(force=str(force).lower()), admitted(obj), APPLY_PATCH)

    def _force(self, obj: Properties, live: Properties) -> bool:
        if annotated(obj, PATCH_FORCE):
            return True
        return not live["metadata"].get("managedFields") if self.patch_force is None else self.patch_force

    def delete(self, obj: Properties, inputs: Properties) -> bool:
        """Ask for the deletion. Return False when the object does not exist. Raises ApiError or UnreachableError."""
        path = KINDS[obj["kind"]].path(namespace_of(obj), name_of(obj))
        try:
            self.cluster.request("DELETE", path, None, {"propagationPolicy": propagation(inputs)})
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return True


def propagation(inputs: Properties) -> str:
    """Return what happens to an object's dependents when it is deleted. Only foreground deletion waits for them."""
    policy = annotation(inputs, PROPAGATION).lower()
    return {"background": "Background", "orphan": "Orphan"}.get(policy, "Foreground")
