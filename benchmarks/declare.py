"""Run a Pulumi program against Pulumi's mocks: the whole Python process, without an engine.

Usage: python -m benchmarks.declare FOLDER CONFIG.json, where CONFIG.json maps keys with their project's prefix. Prints
the registered resources as JSON: type, name and inputs.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks

#: Outputs that providers compute and programs use; all other outputs are a resource's inputs.
COMPUTED: dict[str, dict[str, Any]] = {
    "random:index/randomPassword:RandomPassword": {"result": "generated"},
    "docker:index/image:Image": {"repoDigest": "registry.example/addressbook@sha256:" + "ab" * 32},
    "kubernetes:core/v1:Service": {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}},
}


class Providers(mocks.Mocks):
    """Providers that create everything immediately."""

    def __init__(self) -> None:
        self.registered: list[dict[str, Any]] = []

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise LookupError(f"the program calls {args.token}, which this benchmark does not mock")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.registered.append({"type": args.typ, "name": args.name, "inputs": args.inputs})
        return args.name, {**args.inputs, **COMPUTED.get(args.typ, {})}


def main(folder: str, config: str) -> None:
    """Run the program in ``folder``."""
    values: dict[str, str] = json.loads(Path(config).read_text())
    os.chdir(folder)
    sys.path.insert(0, folder)
    providers = Providers()
    pulumi.runtime.set_all_config(values)
    mocks.set_mocks(providers, project=next(iter(values)).partition(":")[0], stack="benchmark")

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path("__main__.py")

    program()
    print(json.dumps(providers.registered))


if __name__ == "__main__":
    main(*sys.argv[1:])
