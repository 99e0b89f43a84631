"""What a program's new inputs change about an object, and whether that replaces it.

Compared with the new inputs is what the state knows of the live object, as far as the old inputs have a say in it:
a change made behind Pulumi's back shows after a refresh, and what the cluster fills in by itself never does.
"""

from __future__ import annotations

from lab.plugins.difference import Difference, difference
from lab.plugins.kubernetes.checking import is_namespaced
from lab.plugins.kubernetes.cluster import ApiError, Cluster, Unreachable
from lab.plugins.kubernetes.configuration import Settings
from lab.plugins.kubernetes.immutable import replacing_paths
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
from lab.plugins.provider import Resource

REPLACE_UNREADY = "pulumi.com/replaceUnready"


def compare(
    settings: Settings, cluster: Cluster | None, resource: Resource, old_outputs: Properties, new: Properties
) -> Difference:
    """The difference between the state's object and the new inputs."""
    inputs, live = parse_checkpoint(old_outputs)
    after = normalize(to_object(new))
    before: Properties = prune(live, normalize(inputs))
    before = {"apiVersion": after.get("apiVersion"), "kind": after.get("kind"), **before}
    _align_metadata(cluster, before, after, name_of(live))
    changes = difference(
        before,
        after,
        replace_on=replacing_paths(
            after,
            mutable_config_maps=settings.mutable_config_maps,
            mutable_secrets=settings.mutable_secrets,
        ),
        ignore=resource.ignored,
    )
    if changes.paths.get(("metadata",)) == "delete":
        changes.replace.add(("metadata",))
    if annotated(after, REPLACE_UNREADY) and cluster is not None and _unready_job(cluster, after, live):
        changes.replace.add(("metadata", "annotations", REPLACE_UNREADY))
    # A new object can't have the name of the old one while that is there.
    changes.delete_before_replace = (
        bool(changes.replace)
        and named(after)
        and not annotated(after, AUTONAMED)
        and name_of(after) == name_of(live)
        and namespace_of(after) == namespace_of(live)
    )
    return changes


def _align_metadata(cluster: Cluster | None, before: Properties, after: Properties, live_name: str) -> None:
    """Spell out on both sides what may be left out on one: namespace and name."""
    namespaced = is_namespaced(cluster, after)
    for obj in (before, after):
        if not isinstance(obj.get("metadata"), dict):
            continue
        obj["metadata"] = {**metadata(obj)}
        if namespaced:
            obj["metadata"]["namespace"] = metadata(obj).get("namespace") or "default"
        else:
            obj["metadata"].pop("namespace", None)
    if isinstance(before.get("metadata"), dict):
        before["metadata"].pop("resourceVersion", None)
        if name_of(after):
            before["metadata"]["name"] = live_name


def _unready_job(cluster: Cluster, after: Properties, live: Properties) -> bool:
    """Whether a Job that is to be replaced while it isn't done is not done. Errors don't count: it may be gone."""
    if after.get("kind") != "Job":
        return False
    look = readiness_at_refresh(cluster, {"apiVersion": after["apiVersion"], "kind": after["kind"]})
    try:
        now = cluster.get(live["apiVersion"], live["kind"], namespace_of(live), name_of(live))
    except (ApiError, Unreachable):
        return False
    return look is not None and not look(now).ready
