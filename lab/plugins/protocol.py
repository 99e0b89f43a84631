"""The plugin protocol's messages and services, as the installed Pulumi SDK ships them.

Importing `pulumi.runtime.proto` the ordinary way runs the whole SDK first, which a plugin has no use for and which
doubles its start-up time. So the generated modules are imported with empty parent packages in place, which are
taken away again at once: a later `import pulumi` in the same process gets the real SDK.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

# Plugins start child processes; without this gRPC prints a warning to stderr at each fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        analyzer_pb2,
        engine_pb2,
        engine_pb2_grpc,
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )

# The largest message the engine and the official plugins accept, in bytes (sdk/go/common/util/rpcutil).
MESSAGE_LIMIT = 400 * 1024 * 1024
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]

__all__ = [
    "CHANNEL_OPTIONS",
    "MESSAGE_LIMIT",
    "analyzer_pb2",
    "engine_pb2",
    "engine_pb2_grpc",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "status_pb2",
]


@contextmanager
def _bare_sdk_packages() -> Iterator[None]:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            f"the Pulumi SDK is not installed for this Python: pip install -r requirements.txt with {sys.executable}"
        )
    folder = spec.submodule_search_locations[0]
    bare = {
        "pulumi": folder,
        "pulumi.runtime": f"{folder}/runtime",
        "pulumi.runtime.proto": f"{folder}/runtime/proto",
    }
    for name, path in bare.items():
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    try:
        yield
    finally:
        for name in bare:
            del sys.modules[name]


_loaded: dict[str, ModuleType] = {}


def __getattr__(name: str) -> ModuleType:
    """Load a generated module when it is first asked for: a provider has no use for the language's, and so on."""
    if not name.endswith(("_pb2", "_pb2_grpc")):
        raise AttributeError(name)
    if name not in _loaded:
        full_name = f"pulumi.runtime.proto.{name}"
        if "pulumi" in sys.modules:
            _loaded[name] = importlib.import_module(full_name)
        else:
            with _bare_sdk_packages():
                _loaded[name] = importlib.import_module(full_name)
    return _loaded[name]
