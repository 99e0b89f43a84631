"""The object that a program declares: named, in a namespace, in the API server's spelling."""

from __future__ import annotations

from lab.plugins.kubernetes.awaiting import TIMEOUT
from lab.plugins.kubernetes.configuration import Settings
from lab.plugins.kubernetes.kinds import INSTALL_OFFICIAL, Kind
from lab.plugins.kubernetes.objects import (
    AUTONAMED,
    annotated,
    autoname,
    hide_secrets,
    metadata,
    name_of,
    named,
    normalize,
    set_metadata,
    to_object,
    unique_name,
)
from lab.plugins.kubernetes.readiness import SKIP, WAIT_FOR, WaitForError, wait_for
from lab.plugins.kubernetes.writing import PATCH_FORCE, PROPAGATION
from lab.plugins.properties import Properties
from lab.plugins.provider import Checked, Failure, Resource

PREFIX = "pulumi.com/"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
_COVERED = {AUTONAMED, PATCH_FORCE, PROPAGATION, REPLACE_UNREADY, SKIP, TIMEOUT, WAIT_FOR}


def check(settings: Settings, kind: Kind, resource: Resource, old: Properties, new: Properties) -> Checked:
    """Complete the inputs and report their errors."""
    obj = normalize({"apiVersion": kind.api_version, "kind": kind.name, **to_object(new)})
    failures = [*_name(resource, obj, to_object(old)), *_check_annotations(obj)]
    if settings.namespace and "namespace" not in metadata(obj) and kind.namespaced:
        set_metadata(obj, "namespace", settings.namespace)
    return Checked(hide_secrets(obj, new), failures)


def _name(resource: Resource, obj: Properties, before: Properties) -> list[Failure]:
    """Generate a name for an object without one, or keep the name generated before."""
    if named(obj):
        return []
    if before:
        if annotated(before, AUTONAMED):
            autoname(obj, name_of(before))
        return []
    if resource.must_be_named:
        reason = "autonaming is disabled, resource requires the .metadata.name field to be set"
        return [Failure("metadata.name", reason)]
    autoname(obj, resource.proposed_name or unique_name(resource.name, resource.random_seed))
    return []


def _check_annotations(obj: Properties) -> list[Failure]:
    annotations = metadata(obj).get("annotations")
    if not isinstance(annotations, dict):
        return []
    unsupported = [key for key in annotations if key.startswith(PREFIX) and key not in _COVERED]
    failures = [
        Failure(f'metadata.annotations["{key}"]', f"is not covered by the lab's stand-in. {INSTALL_OFFICIAL}")
        for key in unsupported
    ]
    try:
        wait_for(obj)
    except WaitForError as error:
        failures.append(Failure(f'metadata.annotations["{WAIT_FOR}"]', str(error)))
    return failures
