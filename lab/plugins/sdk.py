"""What a cloud's Pulumi SDK declares of resource types and functions, cached by the SDK's version."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from lab.files import write
from lab.layout import Lab


@dataclass(frozen=True)
class InputType:
    """The type of an input.

    ``accepts`` is empty for any value. ``element`` is the type of what a list or map holds, ``fields`` are the inputs
    of an object, and ``values`` the members of an enumeration.
    """

    accepts: tuple[type, ...] = ()
    element: InputType | None = None
    fields: Mapping[str, Input] | None = None
    values: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Input:
    """An input property."""

    type: InputType
    required: bool


@dataclass(frozen=True)
class ResourceSchema:
    """What the SDK declares of a resource type, under the names of the Pulumi protocol (``roleArn``)."""

    inputs: Mapping[str, Input]
    outputs: frozenset[str]
    secrets: frozenset[str]


@dataclass(frozen=True)
class FunctionSchema:
    """What the SDK declares of a function."""

    arguments: frozenset[str]
    results: frozenset[str]


@cache
def resource_schema(package: str, module: str, name: str) -> ResourceSchema:
    """Return the schema of a type, such as ``("pulumi_aws", "eks", "Cluster")``."""
    return _cached("read_resource", package, module, name)


@cache
def function_schema(package: str, module: str, name: str) -> FunctionSchema:
    """Return the schema of a function, such as ``("pulumi_aws", "eks", "getAddonVersion")``."""
    return _cached("read_function", package, module, name)


def _cached(reader: str, package: str, module: str, name: str) -> Any:
    file = Lab.from_environment().cache / "sdk" / f"{package}-{_version(package)}" / f"{module}.{name}.pickle"
    with suppress(OSError):
        return pickle.loads(file.read_bytes())  # noqa: S301 written below
    schema = getattr(import_module("lab.plugins.sdk_reader"), reader)(package, module, name)
    with suppress(OSError):  # without a cache it is only slower
        write(file, pickle.dumps(schema))
    return schema


@cache
def _version(package: str) -> str:
    """Return the version of an SDK, and of the code that reads it."""
    code = b"".join(each.read_bytes() for each in sorted(Path(__file__).parent.glob("sdk*.py")))
    return f"{metadata.version(package)}-{hashlib.sha256(code).hexdigest()[:12]}"
