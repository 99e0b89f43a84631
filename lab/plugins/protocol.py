"""The messages and services of the plugin protocol, from the installed Pulumi SDK.

A plain import of `pulumi.runtime.proto` imports the whole SDK first, which doubles a plugin's start-up time. So empty
parent packages replace the SDK during the import. A later `import pulumi` gets the real one.
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

# Without this, gRPC prints a warning for each child process.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        engine_pb2,
        engine_pb2_grpc,
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )

# Bytes. The engine and the official plugins have the same limit (sdk/go/common/util/rpcutil).
MESSAGE_LIMIT = 400 * 1024 * 1024
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]

__all__ = [
    "CHANNEL_OPTIONS",
    "MESSAGE_LIMIT",
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
            f"{sys.executable} has no Pulumi SDK. Install it: {sys.executable} -m pip install -r requirements.txt"
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
    """Import a generated module on first use, because no plugin needs all of them."""
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
