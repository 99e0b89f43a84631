"""Explain a failed provider function (invoke) in one sentence instead of the SDK's traceback."""

from __future__ import annotations

from collections.abc import Callable
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


def ask(call: Callable[[], Result], what: str, remedy: str) -> Result:
    """Return the result of an invoke that blocks, or stop with what was asked, why it failed and how to fix it.

    Each call adds its time to every preview. Use it for what decides which resources are registered.
    """
    try:
        return call()
    except Exception as error:  # the SDK raises no narrower one
        raise pulumi.RunError(f"stack `{pulumi.get_stack()}`: {what}: {reason(error)}; {remedy}") from None


def reason(error: Exception) -> str:
    """Return the provider's own message from the SDK's exception."""
    return " ".join(str(error).rpartition("returned an error: ")[2].split()).rstrip(".")
