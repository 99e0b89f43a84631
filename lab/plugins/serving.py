"""The scaffold of every provider plugin stand-in: a gRPC server between the Pulumi engine and a `Provider`.

A plugin is a `Provider` with the hooks it needs, and a `main`:

    class Example(Provider):
        name, version = "example", "1.2.3"

        def create(self, resource: Resource, inputs: Properties) -> Created:
            self.engine.status("making it", resource.urn)
            return Created("some-id", inputs)

    if __name__ == "__main__":
        serve(Example)

The hooks get and give plain Python values (see `properties`); what is secret in the inputs is secret again in the
outputs without their doing. They raise `ProviderError` with one sentence for the user.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from lab.plugins.difference import Difference, difference
from lab.plugins.engine import Engine
from lab.plugins.listening import engine_address, listen
from lab.plugins.properties import (
    UNKNOWN,
    Properties,
    Secret,
    Special,
    Unknown,
    Value,
    contains_secret,
    contains_unknown,
    plain,
)
from lab.plugins.protocol import provider_pb2_grpc
from lab.plugins.provider import (
    Checked,
    Created,
    Failure,
    InitializationFailed,
    Provider,
    ProviderError,
    Read,
    Resource,
)
from lab.plugins.servicer import Servicer

__all__ = [
    "UNKNOWN",
    "Checked",
    "Created",
    "Difference",
    "Engine",
    "Failure",
    "InitializationFailed",
    "Properties",
    "Provider",
    "ProviderError",
    "Read",
    "Resource",
    "Secret",
    "Special",
    "Unknown",
    "Value",
    "contains_secret",
    "contains_unknown",
    "difference",
    "plain",
    "serve",
]


def serve(kind: type[Provider], arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve a provider until the engine ends it, or ends itself. Prints the port, and nothing else, on stdout."""
    address = engine_address(
        f"pulumi-resource-{kind.name}",
        f"Stand-in for the Pulumi provider plugin '{kind.name}' {kind.version}; started by pulumi itself.",
        f"PULUMI_DEBUG_PROVIDERS={kind.name}:<port>",
        sys.argv[1:] if arguments is None else arguments,
    )
    engine = Engine(address)
    provider = kind(engine)

    def stop() -> None:
        provider.cancelled.set()
        provider.cancel()

    listen(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server),
        engine,
        stop,
    )
