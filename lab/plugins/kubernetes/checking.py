"""Inputs as they go to the API server: named, in a namespace, in its own spelling; and what can't be done here."""

from __future__ import annotations

from lab.plugins.kubernetes.cluster import Cluster, NoSuchKind
from lab.plugins.kubernetes.configuration import OFFICIAL_ONLY, Settings
from lab.plugins.kubernetes.objects import (
    AUTONAMED,
    MANAGED_BY,
    annotated,
    autoname,
    hide_secrets,
    label_managed_by,
    managed_by,
    metadata,
    name_of,
    named,
    normalize,
    set_metadata,
    to_object,
    type_to_kind,
    unique_name,
)
from lab.plugins.kubernetes.readiness import WaitForError, readiness
from lab.plugins.properties import Properties, contains_unknown
from lab.plugins.provider import Checked, Failure, ProviderError, Resource

# Not objects but bundles of them, which the official provider takes apart.
_BUNDLES = ("kubernetes:helm.sh/", "kubernetes:yaml", "kubernetes:kustomize")


def check(settings: Settings, cluster: Cluster | None, resource: Resource, old: Properties, new: Properties) -> Checked:
    """The object that a program declares. `cluster` is None while it can't be reached."""
    _refuse_what_is_no_object(cluster, resource)
    api_version, kind = type_to_kind(resource.type)
    obj = normalize({"apiVersion": api_version, "kind": kind, **to_object(new)})
    failures = _give_name(settings, resource, obj, to_object(old))
    if settings.mode.server_side_apply and metadata(obj).get("generateName") and annotated(obj, AUTONAMED):
        failures.append(Failure("metadata.generateName", "generateName is not supported in Server-Side Apply mode"))
    if settings.namespace and "namespace" not in metadata(obj) and is_namespaced(cluster, obj):
        set_metadata(obj, "namespace", settings.namespace)
    if cluster is not None and not contains_unknown(metadata(obj).get("annotations")):
        try:
            readiness(cluster, obj)
        except WaitForError as error:
            failures.append(Failure("metadata.annotations", str(error)))
    return Checked(hide_secrets(obj, new), failures)


def _refuse_what_is_no_object(cluster: Cluster | None, resource: Resource) -> None:
    if resource.type.startswith(_BUNDLES):
        raise ProviderError(f"{resource.type}: {OFFICIAL_ONLY}.")
    api_version, kind = type_to_kind(resource.type)
    if not kind.endswith(("Patch", "List")) or (cluster is not None and cluster.serves(api_version, kind)):
        return
    if kind.endswith("Patch"):
        raise ProviderError(f"{resource.type}: patching an object that others made: {OFFICIAL_ONLY}.")
    raise ProviderError(f"{resource.type}: a list is no object of its own; declare the objects in it one by one.")


def _give_name(settings: Settings, resource: Resource, obj: Properties, before: Properties) -> list[Failure]:
    """Name and label the object as it was before, or as a new one."""
    if before:
        if not named(obj) and annotated(before, AUTONAMED):
            autoname(obj, name_of(before))
        if (metadata(before).get("labels") or {}).get(MANAGED_BY) == managed_by():
            label_managed_by(obj)
        return []
    if not settings.mode.server_side_apply:
        label_managed_by(obj)
        if metadata(obj).get("generateName"):
            return []
    if named(obj):
        return []
    if resource.must_be_named:
        reason = "autonaming is disabled, resource requires the .metadata.name field to be set"
        return [Failure("metadata.name", reason)]
    autoname(obj, resource.proposed_name or unique_name(resource.name, resource.random_seed))
    return []


def is_namespaced(cluster: Cluster | None, obj: Properties) -> bool:
    """Whether the object's kind is in namespaces; one that isn't served yet is taken to be."""
    if cluster is None:
        return obj["kind"] not in ("Namespace", "CustomResourceDefinition")
    try:
        return cluster.kind(obj["apiVersion"], obj["kind"]).namespaced
    except NoSuchKind:
        return True
