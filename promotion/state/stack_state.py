"""Where a stack stands, by the engine's own state: what each track was last told to run, and what was interrupted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from promotion.errors import CommandError

#: Part of the URN of a track's Deployment.
TRACK_DEPLOYMENT = ":release:Track$kubernetes:apps/v1:Deployment::"
#: Providers whose objects are known by their names, so that one that may exist can be looked for.
KUBERNETES = "kubernetes:"
#: Resources that leave nothing behind when their creation was interrupted: nothing outside the state, or an image
#: under the name that the next build gives it again.
HARMLESS = ("random:", "docker:", "pulumi:", "pulumi-python:", "delivery:", "addressbook:")


@dataclass(frozen=True)
class Running:
    """A track's Deployment as the state has it; ``image`` is REPOSITORY@sha256:DIGEST."""

    image: str
    replicas: int

    @property
    def digest(self) -> str:
        """``sha256:…``"""
        return self.image.partition("@")[2]


@dataclass(frozen=True)
class StackState:
    """``tracks`` by name, as far as they are up; ``parts`` names every track of which the state knows anything."""

    tracks: Mapping[str, Running] = field(default_factory=dict[str, Running])
    parts: frozenset[str] = frozenset()
    interrupted: Sequence[str] = ()


def read_stack_state(state: Mapping[str, Any]) -> StackState:
    """Read an exported deployment."""
    tracks: dict[str, Running] = {}
    parts: set[str] = set()
    resources = cast(list[dict[str, Any]], state.get("resources") or [])
    for resource in resources:
        urn = str(resource["urn"])
        if ":release:Track::" in urn:
            parts.add(urn.rpartition("::")[2])
        if TRACK_DEPLOYMENT in urn and not resource.get("delete"):
            spec = resource["inputs"]["spec"]
            image = spec["template"]["spec"]["containers"][0]["image"]
            if isinstance(image, str):
                tracks[urn.rpartition("-")[2]] = Running(image, int(spec.get("replicas", 1)))
    pending = cast(list[dict[str, Any]], state.get("pending_operations") or [])
    return StackState(tracks, frozenset(parts), [str(operation["resource"]["urn"]) for operation in pending])


def settled(state: dict[str, Any]) -> dict[str, Any] | None:
    """The state without operations that were cut off; None where there are none.

    The engine drops the note of a creation that was cut off, and the next one then fails on the object that exists. A
    Kubernetes object's id is its name, so it is noted as created: the refresh before the update looks for it, and takes
    it out again where it does not exist. Raises CommandError for what has no such id, such as a cloud's cluster; it
    names the
    Kubernetes objects that were cut off too, since clearing the one's note clears theirs.
    """
    pending = cast(list[dict[str, Any]], state.get("pending_operations") or [])
    if not pending:
        return None
    resources = [*cast(list[dict[str, Any]], state.get("resources") or [])]
    cut_off: list[tuple[dict[str, Any], str | None]] = []
    for operation in pending:
        resource = cast(dict[str, Any], operation["resource"])
        if operation["type"] != "creating" or str(resource["type"]).startswith(HARMLESS):
            continue
        name = _kubernetes_id(resource)
        cut_off.append((resource, name))
        if name is None:
            continue
        # A replacement was on its way: the one before it goes when this one is in place.
        resources = [
            {**other, "delete": True} if other["urn"] == resource["urn"] and not other.get("delete") else other
            for other in resources
        ]
        resources.append({**resource, "id": name, "outputs": resource.get("outputs") or resource["inputs"]})
    if any(name is None for _, name in cut_off):
        names = ", ".join(f"{each['type'].rpartition(':')[2]} {each['urn'].rpartition('::')[2]}" for each, _ in cut_off)
        commands = ", ".join(_import_command(each, name or "ID") for each, name in cut_off)
        raise CommandError(
            f"creating {names} was cut off, unless somebody is at work on it now, in which case the stack is locked and"
            " refuses what follows. Only the provider knows whether it exists: where it does, take it in with its id by"
            f" {commands}; then, and also where it does not, clear the note of it with"
            " `pulumi refresh --clear-pending-creates`, and repeat this command"
        )
    return {**state, "resources": resources, "pending_operations": []}


def _import_command(resource: Mapping[str, Any], id: str) -> str:
    """How to take in a resource that exists, under the URN that the program gives it."""
    provider = str(resource.get("provider", "")).rpartition("::")[0]  # the rest is its id
    explicit = not provider.rpartition("::")[2].startswith("default")
    options = {"parent": resource.get("parent"), "provider": provider if explicit else None}
    words = [f"--{option}={option}={shlex.quote(str(urn))}" for option, urn in options.items() if urn]
    name = str(resource["urn"]).rpartition("::")[2]
    return f"`pulumi import {' '.join([str(resource['type']), name, id, *words, '--protect=false'])}`"


def _kubernetes_id(resource: Mapping[str, Any]) -> str | None:
    """``namespace/name``, or the name of what is in no namespace; None for other providers' resources."""
    inputs = cast(dict[str, Any], resource.get("inputs") or {})
    metadata = cast(dict[str, Any], inputs.get("metadata") or {})
    name = metadata.get("name")
    if not str(resource["type"]).startswith(KUBERNETES) or not name:
        return None
    return f"{metadata['namespace']}/{name}" if metadata.get("namespace") else str(name)
