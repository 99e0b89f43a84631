"""GKE Autopilot's webhook: it raises small requests in the objects that it admits.

Documentation: Resource requests in Autopilot. A limit of ephemeral storage is lowered to the request.
"""

from __future__ import annotations

import json
import os
from copy import deepcopy
from fractions import Fraction
from typing import Any

from lab.plugins.kubernetes.quantities import amount, canonical
from lab.plugins.properties import Properties

#: Environment variable that turns it on; the rehearsal of a Google Cloud stack sets it.
VARIABLE = "ADDRESSBOOK_LAB_AUTOPILOT"
ANNOTATION = "autopilot.gke.io/resource-adjustment"
MINIMUM = {"cpu": Fraction(50, 1000), "memory": Fraction(52 * 2**20), "ephemeral-storage": Fraction(10 * 2**20)}
DEFAULT = {"cpu": "500m", "memory": "2Gi", "ephemeral-storage": "1Gi"}
BYTES_PER_CPU = Fraction(2**30)


def admitted(obj: Properties) -> Properties:
    """Return the object as Autopilot would store it; without Autopilot, the object itself."""
    if not os.environ.get(VARIABLE):
        return obj
    changed: Any = deepcopy(obj)
    pod = (changed.get("spec") or {}).get("template", {}).get("spec") or {}
    for container in [*pod.get("containers", []), *pod.get("initContainers", [])]:
        _raise_requests(container)
    if changed == obj:
        return obj
    changed.setdefault("metadata", {}).setdefault("annotations", {})[ANNOTATION] = json.dumps({"modified": True})
    return changed


def _raise_requests(container: dict[str, Any]) -> None:
    resources = container.setdefault("resources", {})
    requests, limits = resources.setdefault("requests", {}), resources.get("limits", {})
    for name, default in DEFAULT.items():
        given = requests.get(name) or limits.get(name) or default
        least = max(MINIMUM[name], amount(requests["cpu"]) * BYTES_PER_CPU if name == "memory" else Fraction(0))
        requests[name] = given if amount(given) >= least else _written(name, least)
    if "ephemeral-storage" in limits:
        limits["ephemeral-storage"] = requests["ephemeral-storage"]


def _written(name: str, value: Fraction) -> str:
    return canonical(str(float(value))) if name == "cpu" else f"{-(-value // 2**20)}Mi"
