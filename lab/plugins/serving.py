"""Serve a `Provider` to the Pulumi engine over gRPC.

class Example(Provider):
    name, version = "example", "1.2.3"

    def create(self, resource: Resource, inputs: Properties) -> Created:
        self.engine.status("creating it", resource.urn)
        return Created("some-id", inputs)

if __name__ == "__main__":
    serve(Example)
"""

from __future__ import annotations

import sys
from typing import NoReturn

from lab.plugins.engine import Engine
from lab.plugins.listening import engine_address, listen
from lab.plugins.protocol import provider_pb2_grpc
from lab.plugins.provider import Provider
from lab.plugins.servicer import Servicer


def serve(kind: type[Provider]) -> NoReturn:
    """Serve a provider until the engine ends it, or ends. Print the port on stdout, and nothing else."""
    address = engine_address(
        f"pulumi-resource-{kind.name}",
        f"Stand-in for the Pulumi provider plugin '{kind.name}' {kind.version}. Pulumi starts it.",
        f"PULUMI_DEBUG_PROVIDERS={kind.name}:<port>",
        sys.argv[1:],
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
