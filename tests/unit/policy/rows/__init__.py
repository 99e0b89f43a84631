"""Cases of the policies, as data. tests/unit/policy/test_rows.py runs them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """Properties of a resource that a policy accepts, and others that it refuses with one message."""

    policy: str
    kind: str
    accepted: Mapping[str, Any]
    refused: Mapping[str, Any]
    #: A part of the message.
    message: str
    stack: str = "dev"
    protect: bool = False


@dataclass(frozen=True)
class StackResource:
    """A resource of a stack; ``of`` maps properties to the resources that they come from."""

    name: str
    kind: str
    props: Mapping[str, Any] = field(default_factory=dict[str, Any])
    of: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class StackRow:
    """Resources that a policy accepts together, in this order, and others that it refuses with one message."""

    policy: str
    accepted: tuple[StackResource, ...]
    refused: tuple[StackResource, ...]
    message: str
