"""Compare a reviewed preview with what an update would do now."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promotion.errors import WRONG_USE, CommandError
from promotion.preview.planned import Plan
from promotion.preview.steps import DIGEST, UNKNOWN_VALUE, digest_of_steps, steps_difference


@dataclass(frozen=True)
class ReviewedPreview:
    """The digest of the reviewed steps. ``steps`` are its lines; None if only the digest is known."""

    digest: str
    steps: Sequence[str] | None = None

    @classmethod
    def of(cls, expect: str, stack: str) -> ReviewedPreview:
        """Return the preview that ``--expect`` names, by its digest or by its JSON document in a file.

        Raises CommandError if it is neither, or the document is of another stack.
        """
        if DIGEST.fullmatch(expect):
            return cls(expect)
        try:
            document: dict[str, Any] = json.loads(Path(expect).read_text(encoding="utf-8"))
            steps: list[str] = list(document["steps"])
            name, digest = document["stack"], document["digest"]
        except OSError as error:
            raise _unusable(expect, f"is neither a digest (sha256:HEX) nor a readable file: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise _unusable(expect, "is not a preview; write one with `preview --save FILE`") from None
        if str(name).rpartition("/")[2] != stack.rpartition("/")[2]:  # either may have its organization
            raise _unusable(expect, f"is a preview of stack `{name}`, not of `{stack}`")
        if digest != digest_of_steps(steps):
            raise _unusable(expect, "has no digest of its steps: the preview failed, or the file was edited")
        return cls(digest, steps)

    def difference(self, plan: Plan) -> str:
        """Return how the steps of ``plan`` differ from the reviewed ones; "" if they are the same."""
        if plan.digest == self.digest or not plan.steps:  # nothing is left to do, as in a second attempt
            return ""
        if self.steps is not None:
            return steps_difference(self.steps, plan.steps)
        return "\n".join([f"reviewed: {self.digest}", f"now:      {plan.digest}", *plan.steps])

    def contains(self, plan: Plan) -> bool:
        """Return whether every step of ``plan`` is a reviewed one; False if only the reviewed digest is known.

        A value that was unknown at the review may be known by now, because the steps before have been done.
        """
        reviewed = {step[0]: step for step in _split(self.steps or ())}
        return all(_is_same(reviewed.get(step[0], ()), step) for step in _split(plan.steps))


def _split(steps: Sequence[str]) -> list[Sequence[str]]:
    """Return each step with the lines of its properties, which are indented."""
    starts = [place for place, line in enumerate(steps) if not line.startswith(" ")]
    return [steps[start:end] for start, end in zip(starts, [*starts[1:], len(steps)], strict=True)]


def _is_same(reviewed: Sequence[str], step: Sequence[str]) -> bool:
    patterns = [re.escape(line).replace(re.escape(UNKNOWN_VALUE), ".*") for line in reviewed]
    return len(patterns) == len(step) and all(map(re.fullmatch, patterns, step))


def _unusable(expect: str, why: str) -> CommandError:
    return CommandError(f"--expect {expect} {why}", WRONG_USE)
