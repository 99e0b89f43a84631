"""What `pulumi-language-python` runs."""

from __future__ import annotations

import sys

from lab.plugins.engine import Engine
from lab.plugins.language_python.host import LanguageHost
from lab.plugins.listening import engine_address, listen
from lab.plugins.protocol import language_pb2_grpc


def main() -> None:
    """Serve until the engine ends."""
    address = engine_address(
        "pulumi-language-python",
        "Stand-in for Pulumi's Python language host. Pulumi starts it.",
        "PULUMI_DEBUG_LANGUAGES=python:<port>",
        sys.argv[1:],
    )
    engine = Engine(address)
    host = LanguageHost(engine, address)
    listen(
        lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server),
        engine,
        host.stop,
        # The programs inherit stdout and stderr.
        keep_stdout=True,
    )


if __name__ == "__main__":
    main()
