"""Explain a failed provider function (invoke) in one sentence instead of the SDK's traceback."""

from __future__ import annotations

from typing import NoReturn, TypeVar

import pulumi

Result = TypeVar("Result")


def or_explain(result: pulumi.Output[Result], what: str, remedy: str) -> pulumi.Output[Result]:
    """Return the invoke's result, or stop with what was asked, why it failed and how to fix it."""

    def explain(error: Exception) -> NoReturn:
        if not str(error).startswith("invoke of "):
            raise error  # from a resource that the invoke depends on; it has its own message
        raise pulumi.RunError(f"stack `{pulumi.get_stack()}`: {what}: {reason(error)}; {remedy}") from None

    return result.recover(explain)


def reason(error: Exception) -> str:
    """Return the provider's own message from the SDK's exception."""
    return " ".join(str(error).rpartition("returned an error: ")[2].split()).rstrip(".")
