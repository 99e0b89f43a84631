"""Creating, changing and deleting objects: which requests that takes, and what their errors mean."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.plugins.difference import Path, parse_path
from lab.plugins.kubernetes import field_managers
from lab.plugins.kubernetes.cluster import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, ApiError, Cluster, NoSuchKind
from lab.plugins.kubernetes.objects import annotated, annotation, name_of, namespace_of
from lab.plugins.properties import Properties

# A namespace or a CustomResourceDefinition may be a moment behind its first user: waits of 1, 2, 4, 8, 16 s.
RETRIES = 5
CONFLICT_HELP = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/"
    "managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources"
)


class Conflict(Exception):
    """Somebody else owns a field that an update is to change."""


@dataclass(frozen=True)
class Mode:
    """How objects are written: the provider's settings."""

    server_side_apply: bool = True
    upsert: bool = False
    patch_force: bool | None = None
    """None: not set in the provider's arguments; the environment and what is known of the object decide."""


@dataclass(frozen=True)
class Writer:
    """Writes one object on behalf of one field manager; with `dry_run` nothing is stored."""

    cluster: Cluster
    mode: Mode
    field_manager: str
    dry_run: bool

    def _query(self, **more: Any) -> dict[str, Any]:
        query = {"fieldManager": self.field_manager, **more}
        return {**query, "dryRun": "All"} if self.dry_run else query

    def create(self, obj: Properties, cancelled: threading.Event) -> Properties:
        """Make the object. Raises ApiError (already_exists among others) or NoSuchKind."""
        for attempt in range(RETRIES + 1):
            try:
                return self._create_once(obj)
            except (ApiError, NoSuchKind) as error:
                may_come = isinstance(error, NoSuchKind) or error.not_found
                if self.dry_run or not may_come or attempt == RETRIES or cancelled.wait(2**attempt):
                    raise
        raise AssertionError("unreachable")

    def _create_once(self, obj: Properties) -> Properties:
        kind = self.cluster.kind(obj["apiVersion"], obj["kind"])
        if self.mode.server_side_apply and self.mode.upsert:
            return self._apply(obj, force=self._force(obj, None))
        query = self._query(fieldValidation="Strict")
        return self.cluster.request("POST", kind.path(namespace_of(obj)), query, obj)

    def update(self, obj: Properties, live: Properties, old: Properties, ignored: Sequence[str]) -> Properties:
        """Make the live object what the inputs say. `old` are the inputs it was made from; `ignored` property paths
        stay as they are on the cluster. Raises ApiError or Conflict."""
        obj = copy.deepcopy(obj)
        kind = self.cluster.kind(obj["apiVersion"], obj["kind"])
        path = kind.path(namespace_of(live), name_of(live))
        if kind.kind == "CustomResourceDefinition":
            obj.setdefault("metadata", {})["resourceVersion"] = live["metadata"]["resourceVersion"]
            return self.cluster.request("PUT", path, self._query(), obj)
        self._keep_ignored(obj, live, ignored)
        if not self.mode.server_side_apply:
            return self.cluster.request("PATCH", path, self._query(), _merge_patch(old, obj), MERGE_PATCH)
        if not self.dry_run and (entries := field_managers.taken_over(live, self.field_manager)):
            patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
            live = self.cluster.request("PATCH", path, None, patch, JSON_PATCH)
        return self._apply(obj, force=self._force(obj, live))

    def _apply(self, obj: Properties, force: bool) -> Properties:
        path = self.cluster.kind(obj["apiVersion"], obj["kind"]).path(namespace_of(obj), name_of(obj))

        def request(forced: bool) -> Properties:
            query = self._query(force=str(forced).lower(), fieldValidation="Strict")
            return self.cluster.request("PATCH", path, query, obj, APPLY_PATCH)

        try:
            return request(force)
        except ApiError as error:
            if not error.conflict:
                raise
            if self.dry_run and field_managers.would_be_taken_over(error):
                return request(True)
            raise Conflict(
                f"Server-Side Apply field conflict detected. See {CONFLICT_HELP} for troubleshooting help.\n"
                f'The resource managed by field manager "{self.field_manager}" had an apply conflict: {error}'
            ) from None

    def _force(self, obj: Properties, live: Properties | None) -> bool:
        if annotated(obj, "pulumi.com/patchForce"):
            return True
        if self.mode.patch_force is not None:
            return self.mode.patch_force
        if "PULUMI_K8S_ENABLE_PATCH_FORCE" in os.environ:
            return os.environ["PULUMI_K8S_ENABLE_PATCH_FORCE"] == "true"
        if live is None:
            return self.dry_run
        return not live["metadata"].get("managedFields")

    def _keep_ignored(self, obj: Properties, live: Properties, ignored: Sequence[str]) -> None:
        for path in map(parse_path, ignored):
            if any(not isinstance(part, str) for part in path):
                continue  # Within lists the official provider can't either.
            if self.mode.server_side_apply and field_managers.owned_by_others(live, self.field_manager, path):
                _remove(obj, path)
            elif (found := _find(live, path)) is not None:
                _set(obj, path, found)

    def relinquish(self, live: Properties) -> None:
        """Give up every field: another field manager has them from now on."""
        bare = {
            "apiVersion": live["apiVersion"],
            "kind": live["kind"],
            "metadata": {"name": name_of(live), "namespace": namespace_of(live)},
        }
        self._apply(bare, force=False)

    def delete(self, obj: Properties, inputs: Properties) -> bool:
        """Ask for the deletion; whether there was anything to delete."""
        policies = {"orphan": "Orphan", "background": "Background"}
        policy = policies.get(annotation(inputs, "pulumi.com/deletionPropagationPolicy").lower(), "Foreground")
        try:
            path = self.cluster.kind(obj["apiVersion"], obj["kind"]).path(namespace_of(obj), name_of(obj))
            self.cluster.request("DELETE", path, None, {"propagationPolicy": policy})
        except NoSuchKind:
            return False  # Its CustomResourceDefinition has gone, and it went along.
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return True


def _merge_patch(old: Properties, new: Properties) -> Properties:
    patch: Properties = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            if changed := _merge_patch(old[key], value):
                patch[key] = changed
        elif key not in old or old[key] != value:
            patch[key] = value
    return patch


def _find(obj: Any, path: Path) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _set(obj: Properties, path: Path, value: Any) -> None:
    for part in path[:-1]:
        obj = obj.setdefault(str(part), {})
    obj[str(path[-1])] = value


def _remove(obj: Properties, path: Path) -> None:
    parent = _find(obj, path[:-1])
    if isinstance(parent, dict):
        parent.pop(str(path[-1]), None)
