"""What a cloud's functions answer: where one refuses, the user reads a sentence, and not the SDK's traceback."""

from __future__ import annotations

from typing import NoReturn, TypeVar

import pulumi

Answer = TypeVar("Answer")


def or_explain(answer: pulumi.Output[Answer], what: str, remedy: str) -> pulumi.Output[Answer]:
    """The answer. Without one the program ends: ``what`` was asked for, why there is none, and the ``remedy``."""

    def refused(fault: Exception) -> NoReturn:
        if not str(fault).startswith("invoke of "):
            raise fault  # of a resource that the question depends on, which has its own words
        raise pulumi.RunError(f"stack `{pulumi.get_stack()}`: {what}: {reason(fault)}; {remedy}") from None

    return answer.recover(refused)


def reason(fault: Exception) -> str:
    """The provider's own words in what the SDK raises."""
    return " ".join(str(fault).rpartition("returned an error: ")[2].split()).rstrip(".")
