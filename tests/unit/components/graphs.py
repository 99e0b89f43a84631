"""What the tests of the clouds ask a resource graph."""

from __future__ import annotations

import base64
from typing import Any

from pulumi.output import Unknown


def short(resource: Any) -> str:
    """The last part of its type."""
    return resource.type.rpartition(":")[2]


def in_component(resource: Any) -> bool:
    """Whether its parent is a component of this project, and not the stack itself."""
    return resource.parent.split("::")[2].rpartition("$")[2].startswith("delivery:")


def made_in(graph: Any, cloud: str) -> list[Any]:
    """What is made in the cloud itself; components of this project may have types of the same name."""
    return [each for each in graph.resources if each.type.startswith(f"{cloud}:")]


def named(graph: Any, kind: str, name: str) -> Any:
    return next(each for each in graph.all(kind) if each.name == name)


def secret_data(secret: Any, key: str) -> str:
    return base64.b64decode(secret.inputs["data"][key]).decode()


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Path and value of everything in a resource's inputs, or in a stack's outputs."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, f"{path}[{index}]")]
    return [(path, value)]


def foretells(previewed: Any, updated: Any) -> bool:
    """Whether a value of a preview is that of the update, wherever it is known."""
    if isinstance(previewed, Unknown):
        return True
    if isinstance(previewed, dict) and isinstance(updated, dict):
        return previewed.keys() == updated.keys() and all(foretells(previewed[key], updated[key]) for key in updated)
    if isinstance(previewed, list) and isinstance(updated, list):
        return len(previewed) == len(updated) and all(map(foretells, previewed, updated))
    return previewed == updated


def all_before(graph: Any, resource: Any) -> set[str]:
    """URNs of all that is made before a resource, and so deleted after it."""
    direct = {each.urn: set(each.dependencies) for each in graph.resources}
    found: set[str] = set()
    waiting = set(resource.dependencies)
    while waiting:
        urn = waiting.pop()
        if urn not in found:
            found.add(urn)
            waiting |= direct.get(urn, set())
    return found


def protected(graph: Any) -> set[str]:
    """Kinds of what `destroy` refuses to take."""
    return {short(each) for each in graph.resources if each.options.protect}
