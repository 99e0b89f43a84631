"""Queries of a resource graph."""

from __future__ import annotations

import base64
from typing import Any

from pulumi.output import Unknown


def short(resource: Any) -> str:
    """Return the last part of the resource's type."""
    return resource.type.rpartition(":")[2]


def in_component(resource: Any) -> bool:
    """Return whether the resource's parent is a component of this project."""
    return resource.parent.split("::")[2].rpartition("$")[2].startswith("delivery:")


def cloud_resources(graph: Any, cloud: str) -> list[Any]:
    """Return the resources of the cloud's provider."""
    return [each for each in graph.resources if each.type.startswith(f"{cloud}:")]


def named(graph: Any, kind: str, name: str) -> Any:
    return next(each for each in graph.all(kind) if each.name == name)


def secret_data(secret: Any, key: str) -> str:
    return base64.b64decode(secret.inputs["data"][key]).decode()


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return path and value of everything in a resource's inputs or a stack's outputs."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, f"{path}[{index}]")]
    return [(path, value)]


def predicts(previewed: Any, updated: Any) -> bool:
    """Return whether a preview's value equals the update's wherever it is known."""
    if isinstance(previewed, Unknown):
        return True
    if isinstance(previewed, dict) and isinstance(updated, dict):
        return previewed.keys() == updated.keys() and all(predicts(previewed[key], updated[key]) for key in updated)
    if isinstance(previewed, list) and isinstance(updated, list):
        return len(previewed) == len(updated) and all(map(predicts, previewed, updated))
    return previewed == updated


def all_before(graph: Any, resource: Any) -> set[str]:
    """Return the URNs of everything that is created before a resource and deleted after it."""
    direct = {each.urn: set(each.dependencies) for each in graph.resources}
    before: set[str] = set()
    waiting = set(resource.dependencies)
    while waiting:
        urn = waiting.pop()
        if urn not in before:
            before.add(urn)
            waiting |= direct.get(urn, set())
    return before


def protected(graph: Any) -> set[str]:
    """Return the kinds of the resources that the engine refuses to delete."""
    return {short(each) for each in graph.resources if each.options.protect}


def pod_templates(graph: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return name and pod spec of each workload."""
    specs = [(each.name, each.inputs.get("spec")) for each in graph.resources if each.type.startswith("kubernetes:")]
    return [(name, spec["template"]["spec"]) for name, spec in specs if isinstance(spec, dict) and "template" in spec]
