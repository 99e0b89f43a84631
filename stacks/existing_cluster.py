"""Config key ``cluster`` of a cloud: a cluster that exists already, and the keys that do not go with it."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

Value = TypeVar("Value")


def of_own_cluster(value: Value, others: ValidationInfo) -> Value:
    """Return the value. Raises PydanticCustomError if it is set for an existing cluster, which has its own."""
    if value and others.data.get("cluster"):
        raise PydanticCustomError(
            "unused", "applies only to a cluster that the stack creates, and `cluster` names an existing one"
        )
    return value


def version_of_own_cluster(value: str, others: ValidationInfo) -> str:
    """Return the version. Raises PydanticCustomError unless either it or an existing cluster is given."""
    if not value and others.data.get("cluster") == "":  # absent if it is invalid, which is reported
        raise PydanticCustomError("missing", "is missing")
    return of_own_cluster(value, others)
