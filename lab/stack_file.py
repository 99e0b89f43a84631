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
    config = stack_config(stack)
    cloud = str(config.get("addressbook:cloud", "local"))
    return Target(cloud, in_lab=cloud == "local" and (context or config.get("addressbook:kubeContext")) == lab.name)


def stack_config(stack: str) -> dict[str, Any]:
    """The keys in a stack's file. Raises LabError."""
    path = CHECKOUT / f"Pulumi.{stack}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        known = sorted(file.name.split(".")[1] for file in CHECKOUT.glob("Pulumi.*.yaml"))
        raise LabError(f"There is no stack {stack!r}: {path} does not exist. Stacks: {', '.join(known)}.") from None
    except yaml.YAMLError as fault:
        raise LabError(f"{path} is no valid YAML: {fault}") from fault
    return document.get("config") or {}
