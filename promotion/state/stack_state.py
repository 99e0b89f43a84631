"""Read the tracks from the engine's state, and resolve its interrupted operations."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from contract.image import digest_of
from promotion.errors import CommandError
from promotion.state.cluster.pods import service_container
from promotion.state.verdict_record import fingerprint

#: Parts of URNs of a track and its Deployment. The package before them is `addressbook` in older states.
TRACK = ":release:Track::"
TRACK_DEPLOYMENT = ":release:Track$kubernetes:apps/v1:Deployment::"
#: Part of the URNs of the release and of all that it contains.
RELEASE = ":release:Release"
#: Types of what exists in the engine only: the stack, providers, and components.
ENGINE_TYPES = ("pulumi:", "delivery:", "addressbook:")
#: Key by which the engine marks a value that is a secret, unknown, or an output (sdk/go/common/resource in Pulumi).
TAG = "4dabf18193072939515e22adb298388d"
#: Providers whose objects' ids follow from their names, so that a refresh can look for them.
KUBERNETES = "kubernetes:"
#: Resources that leave nothing to clean up after an interrupted creation: they exist only in the state, or are an image
#: that the next build overwrites.
HARMLESS = ("random:", "docker:", "pulumi:", "pulumi-python:", "delivery:", "addressbook:")


@dataclass(frozen=True)
class DeployedTrack:
    """A track's Deployment in the state; ``image`` is REPOSITORY@sha256:DIGEST."""

    image: str
    replicas: int

    @property
    def digest(self) -> str:
        """``sha256:…``"""
        return digest_of(self.image)


@dataclass(frozen=True)
class StackState:
    """The deployed ``tracks`` by name. ``known_tracks`` also has partly removed ones, without a Deployment.

    ``interrupted`` are the URNs of unfinished operations. ``settings`` is a fingerprint of the tracks' pod templates
    without their images, 12 hex digits: it changes with any other setting of the pods. ``urns`` are the Deployments'.
    ``platform`` are the URNs of the platform's resources.
    """

    tracks: Mapping[str, DeployedTrack] = field(default_factory=dict[str, DeployedTrack])
    known_tracks: frozenset[str] = frozenset()
    interrupted: Sequence[str] = ()
    settings: str = ""
    urns: Mapping[str, str] = field(default_factory=dict[str, str])
    platform: Sequence[str] = ()

    @classmethod
    def of(cls, deployment: Mapping[str, Any]) -> StackState:
        """Read an exported deployment."""
        tracks: dict[str, DeployedTrack] = {}
        known: set[str] = set()
        templates: dict[str, Any] = {}
        urns: dict[str, str] = {}
        platform: list[str] = []
        for resource in cast(list[dict[str, Any]], deployment.get("resources") or []):
            urn = str(resource["urn"])
            if is_platform(urn) and not resource.get("delete"):
                platform.append(urn)
            if TRACK in urn:
                known.add(urn.rpartition("::")[2])
            if TRACK_DEPLOYMENT in urn and not resource.get("delete"):
                spec = resource["inputs"]["spec"]
                track, image = urn.rpartition("-")[2], service_container(spec["template"])["image"]
                templates[track] = spec["template"]
                if isinstance(image, str):
                    tracks[track] = DeployedTrack(image, int(spec.get("replicas", 1)))
                    urns[track] = urn
        pending = cast(list[dict[str, Any]], deployment.get("pending_operations") or [])
        interrupted = [str(operation["resource"]["urn"]) for operation in pending]
        return cls(tracks, frozenset(known), interrupted, _fingerprint(templates), urns, platform)


def outputs_of(deployment: Mapping[str, Any], *, secrets: bool = False) -> dict[str, Any]:
    """Return the stack's outputs in an exported deployment, without those that are secret, or with them in clear.

    The engine's own command for it would be asked twice, with secrets and without, which takes a second.
    """
    resources = cast(list[dict[str, Any]], deployment.get("resources") or [])
    found = next((each.get("outputs") for each in resources if each["type"] == "pulumi:pulumi:Stack"), None)
    outputs = cast(dict[str, Any], found or {})
    if secrets:
        return {name: _in_clear(value) for name, value in outputs.items()}
    return {name: value for name, value in outputs.items() if TAG not in json.dumps(value)}


def _in_clear(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_clear(each) for each in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    named = cast(dict[str, Any], value)
    return json.loads(named["plaintext"]) if TAG in named else {key: _in_clear(each) for key, each in named.items()}


def is_platform(urn: str) -> bool:
    """Return whether the resource is part of the platform: it is in a cloud or a cluster, and not in the release."""
    types = urn.rpartition("::")[0].rpartition("::")[2]
    return RELEASE not in types and not types.rpartition("$")[2].startswith(ENGINE_TYPES)


def _fingerprint(templates: Mapping[str, Any]) -> str:
    """Return a hash of the pod templates without the image of the service's container."""
    text = json.dumps(templates, sort_keys=True)
    for template in templates.values():
        text = text.replace(json.dumps(service_container(template)["image"], sort_keys=True), '""')
    return fingerprint(text)


def without_dependencies_on(deployment: dict[str, Any], urn: str) -> dict[str, Any] | None:
    """Return the deployment without the dependencies of other resources on this one; None if there are none."""
    resources = cast(list[dict[str, Any]], deployment.get("resources") or [])
    remaining = [_without_dependency(resource, urn) for resource in resources]
    return None if remaining == resources else {**deployment, "resources": remaining}


def _without_dependency(resource: dict[str, Any], urn: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if urn in (resource.get("dependencies") or []):
        found["dependencies"] = [each for each in resource["dependencies"] if each != urn]
    by_property = cast(dict[str, list[str] | None], resource.get("propertyDependencies") or {})
    if any(urn in (urns or []) for urns in by_property.values()):
        found["propertyDependencies"] = {
            name: [each for each in urns or [] if each != urn] for name, urns in by_property.items()
        }
    return {**resource, **found}


def resolve_pending(deployment: dict[str, Any]) -> dict[str, Any] | None:
    """Return the deployment without its pending operations; None if it has none.

    The engine drops a pending creation, and the next update then fails because the object exists. A Kubernetes object's
    id is its name, so it is recorded as created: the refresh before the update finds it, or removes the record again.

    Raises CommandError for objects with an id that only the provider knows, such as a cloud's cluster. The message also
    names the pending Kubernetes objects, since the remedy clears their records too.
    """
    pending = cast(list[dict[str, Any]], deployment.get("pending_operations") or [])
    if not pending:
        return None
    resources = [*cast(list[dict[str, Any]], deployment.get("resources") or [])]
    created: list[tuple[dict[str, Any], str | None]] = []
    for operation in pending:
        resource = cast(dict[str, Any], operation["resource"])
        if operation["type"] != "creating" or str(resource["type"]).startswith(HARMLESS):
            continue
        id = _kubernetes_id(resource)
        created.append((resource, id))
        if id is None:
            continue
        # If this was a replacement, the old object is deleted once the new one is in place.
        resources = [
            {**other, "delete": True} if other["urn"] == resource["urn"] and not other.get("delete") else other
            for other in resources
        ]
        resources.append({**resource, "id": id, "outputs": resource.get("outputs") or resource["inputs"]})
    if any(id is None for _, id in created):
        names = ", ".join(f"{each['type'].rpartition(':')[2]} {each['urn'].rpartition('::')[2]}" for each, _ in created)
        commands = ", ".join(_import_command(each, id or "ID") for each, id in created)
        raise CommandError(
            f"creating {names} was interrupted (unless another update is still running), and only the provider knows"
            f" whether it exists. If it exists, import it with {commands}; then, in either case, run"
            " `pulumi refresh --clear-pending-creates` and repeat this command"
        )
    return {**deployment, "resources": resources, "pending_operations": []}


def _import_command(resource: Mapping[str, Any], id: str) -> str:
    """Return the command that imports a resource under its URN in the program."""
    provider = str(resource.get("provider", "")).rpartition("::")[0]  # the rest is its id
    explicit = not provider.rpartition("::")[2].startswith("default")
    options = {"parent": resource.get("parent"), "provider": provider if explicit else None}
    arguments = [f"--{option}={option}={shlex.quote(str(urn))}" for option, urn in options.items() if urn]
    name = str(resource["urn"]).rpartition("::")[2]
    return f"`pulumi import {' '.join([str(resource['type']), name, id, *arguments, '--protect=false'])}`"


def _kubernetes_id(resource: Mapping[str, Any]) -> str | None:
    """Return ``namespace/name``, or the name of an object without a namespace; None for other providers' resources."""
    inputs = cast(dict[str, Any], resource.get("inputs") or {})
    metadata = cast(dict[str, Any], inputs.get("metadata") or {})
    name = metadata.get("name")
    if not str(resource["type"]).startswith(KUBERNETES) or not name:
        return None
    return f"{metadata['namespace']}/{name}" if metadata.get("namespace") else str(name)
