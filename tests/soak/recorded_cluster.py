"""A provider plugin `kubernetes` without a cluster: it writes down each step of the engine, and makes nothing.

As `pulumi-resource-kubernetes` it appends one JSON document per step to the file RECORD. Before a step whose text
contains the content of the file KILL, it kills the engine.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from typing_extensions import override

from lab.plugins.difference import Difference, difference
from lab.plugins.properties import Properties, plain
from lab.plugins.provider import Checked, Created, Provider, Read, Resource
from lab.plugins.serving import serve

#: What the program waits for: the address of a load balancer, or of a Gateway.
ADDRESS = {"ip": "203.0.113.7", "value": "203.0.113.7"}
STATUS: dict[str, Any] = {"loadBalancer": {"ingress": [ADDRESS]}, "addresses": [ADDRESS]}


class RecordedCluster(Provider):
    """Every kind of object."""

    name = "kubernetes"
    version = "4.34.2"

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        named = {**new, "metadata": {"name": resource.name, **new.get("metadata", {})}}
        return Checked(named, [])

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        return difference(plain(old_inputs), plain(new))

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        if not resource.preview:
            self._record("create", resource, inputs)
        return Created(f"{resource.type}/{resource.name}", {**inputs, "status": STATUS})

    @override
    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        if not resource.preview:
            self._record("update", resource, new)
        return {**new, "status": STATUS}

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        """Return what the state has. A creation that was killed made nothing."""
        return Read(resource.id, outputs, inputs) if outputs else None

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        self._record("delete", resource, inputs)

    def _record(self, step: str, resource: Resource, inputs: Properties) -> None:
        kind = resource.type.rpartition(":")[2]
        text = json.dumps({"step": step, "kind": kind, "name": resource.name, "spec": plain(inputs).get("spec")})
        trap = Path(os.environ["KILL"])
        if trap.is_file() and trap.read_text() in text:
            trap.unlink()
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(1)
        with Path(os.environ["RECORD"]).open("a", encoding="utf-8") as record:
            record.write(f"{text}\n")


if __name__ == "__main__":
    serve(RecordedCluster)
