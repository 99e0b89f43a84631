"""The changes that new inputs make to an object, and whether they replace it.

The new inputs are compared with the live object in the state, as far as the old inputs set its fields. So a change
made behind Pulumi's back shows after a refresh, and a field that the cluster fills in never does.
"""

from __future__ import annotations

from lab.plugins.difference import Difference, difference
from lab.plugins.kubernetes.checking import REPLACE_UNREADY
from lab.plugins.kubernetes.cluster import ApiError, Cluster, UnreachableError
from lab.plugins.kubernetes.configuration import Settings
from lab.plugins.kubernetes.kinds import KINDS
from lab.plugins.kubernetes.objects import (
    AUTONAMED,
    annotated,
    metadata,
    name_of,
    named,
    namespace_of,
    normalize,
    parse_checkpoint,
    prune,
    to_object,
)
from lab.plugins.kubernetes.readiness import readiness_at_refresh
from lab.plugins.properties import Properties


def compare(settings: Settings, cluster: Cluster | None, old_outputs: Properties, new: Properties) -> Difference:
    """Compare the state's object with the new inputs."""
    inputs, live = parse_checkpoint(old_outputs)
    after = normalize(to_object(new))
    before: Properties = prune(live, normalize(inputs))
    before = {"apiVersion": after["apiVersion"], "kind": after["kind"], **before}
    _spell_out_metadata(before, after, name_of(live))
    changes = difference(before, after, replace_on=_replacing_paths(settings, after))
    if changes.paths.get(("metadata",)) == "delete":
        changes.replace.add(("metadata",))
    if annotated(after, REPLACE_UNREADY) and cluster is not None and _is_unready_job(cluster, live):
        changes.replace.add(("metadata", "annotations", REPLACE_UNREADY))
    # Two objects cannot have the same name at the same time.
    changes.delete_before_replace = (
        bool(changes.replace)
        and named(after)
        and not annotated(after, AUTONAMED)
        and name_of(after) == name_of(live)
        and namespace_of(after) == namespace_of(live)
    )
    return changes


def _replacing_paths(settings: Settings, obj: Properties) -> list[str]:
    """Return the property paths whose change replaces the object.

    By default a ConfigMap or Secret is replaced rather than changed, so that pods meet the new one by its new name.
    """
    paths = ["metadata.name", "metadata.namespace", *KINDS[obj["kind"]].immutable]
    frozen = obj.get("immutable") is True
    if obj["kind"] == "Secret" and (frozen or not settings.mutable_secrets):
        paths += ["stringData", "data"]
    if obj["kind"] == "ConfigMap" and (frozen or not settings.mutable_config_maps):
        paths += ["binaryData", "data"]
    return paths


def _spell_out_metadata(before: Properties, after: Properties, live_name: str) -> None:
    """Set the namespace and the name on both sides, so that leaving one out is no change."""
    for obj in (before, after):
        if not isinstance(obj.get("metadata"), dict):
            continue
        obj["metadata"] = {**metadata(obj)}
        if KINDS[after["kind"]].namespaced:
            obj["metadata"]["namespace"] = metadata(obj).get("namespace") or "default"
        else:
            obj["metadata"].pop("namespace", None)
    if isinstance(before.get("metadata"), dict):
        before["metadata"].pop("resourceVersion", None)
        if name_of(after):
            before["metadata"]["name"] = live_name


def _is_unready_job(cluster: Cluster, live: Properties) -> bool:
    """Return whether this is a Job that is not complete. One that cannot be read does not count: it may be gone."""
    if live.get("kind") != "Job":
        return False
    look = readiness_at_refresh(cluster, {"kind": "Job"})
    try:
        return look is not None and not look(cluster.live(live)).ready
    except (ApiError, UnreachableError):
        return False
