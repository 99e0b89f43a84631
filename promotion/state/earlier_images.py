"""Images that a stack ran before, as people name them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contract.image import Image
from promotion.errors import WRONG_USE, CommandError
from promotion.state.history import Release, Update

#: Digits of a digest that a person has to give at least; a shorter number is that of a release.
DIGEST_DIGITS = 6


def earlier_image(to: str, releases: Sequence[Release], updates: Sequence[Update]) -> str:
    """Image that a digest, its first digits or a release's number means.

    Raises CommandError where that is no one image.
    """
    if Image.parse(to):
        return to
    known = {
        image.partition("@")[2]: image
        for update in reversed(updates)
        for image in (update.config.get("canaryImage", ""), update.config.get("stableImage", ""))
        if Image.parse(image)
    }
    listed = ", ".join(f"{each.number} ({each.digest[:19]})" for each in releases if each.image) or "none"
    if to.isdecimal() and len(to) < DIGEST_DIGITS:
        release = next((each for each in releases if each.number == int(to)), None)
        if release is None or not release.image:
            why = "was built from source and never pinned" if release else "is not in the stack's history"
            raise CommandError(f"--to {to}: release {to} {why}; known: {listed}", WRONG_USE)
        return release.image
    digits = to.removeprefix("sha256:")
    found = [digest for digest in known if digest.removeprefix("sha256:").startswith(digits)]
    why = f"{len(found)} images of the stack's history begin so" if found else "is not in the stack's history"
    if not re.fullmatch(rf"[0-9a-f]{{{DIGEST_DIGITS},64}}", digits):
        why = f"is neither a release's number nor a digest, of which {DIGEST_DIGITS} digits or more are needed"
        found = []
    if len(found) != 1:
        raise CommandError(f"--to {to}: {why}; known releases: {listed}", WRONG_USE)
    return known[found[0]]
