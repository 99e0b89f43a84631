"""Whether a stack lives in the lab or on a cluster of the user's own, by its stack file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from lab.errors import LabError
from lab.layout import CHECKOUT, Lab


@dataclass(frozen=True)
class Target:
    """Where a stack lives."""

    cloud: str
    in_lab: bool


def target(lab: Lab, stack: str, context: str | None) -> Target:
    """Where the stack lives; a context given on the command line goes before `kubeContext`. Raises LabError."""
    config = _config(stack)
    cloud = str(config.get("addressbook:cloud", "local"))
    return Target(cloud, in_lab=cloud == "local" and (context or config.get("addressbook:kubeContext")) == lab.name)


def _config(stack: str) -> dict[str, Any]:
    path = CHECKOUT / f"Pulumi.{stack}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise LabError(
            f"There is no stack {stack!r}: {path} does not exist. Name one that does with --stack."
        ) from None
    except yaml.YAMLError as fault:
        raise LabError(f"{path} is no valid YAML: {fault}") from fault
    return document.get("config") or {}
