"""Kubernetes versions on offer, and the order in which a cluster takes them."""

from __future__ import annotations

import re

#: Newest first, as the API lists them for new clusters.
OFFERED = ("1.35.1-do.0", "1.34.5-do.0", "1.34.1-do.0", "1.33.9-do.0")
#: Seconds that an upgrade takes; the API answers at once, and the version changes later.
UPGRADE_SECONDS = 3


def numbers(version: str) -> tuple[int, ...]:
    """Return a version slug's numbers, for comparison."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


def upgrades(version: str) -> list[str]:
    """Return what a cluster of this version can be upgraded to: its newest patch, and then the next minor version."""
    now = numbers(version)
    patches = [each for each in OFFERED if numbers(each)[:2] == now[:2] and numbers(each) > now]
    if patches:
        return patches
    following = [each for each in OFFERED if numbers(each)[:2] == (now[0], now[1] + 1)]
    return following[:1]
