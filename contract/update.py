"""What a promotion command tells the program about one update, besides the stack file."""

from __future__ import annotations

import os

#: Environment variable that is set while an update leaves the platform as it is: the way back to a working version.
LEAVE_PLATFORM = "ADDRESSBOOK_LEAVE_PLATFORM"
#: Environment variable with the digest of stable's image, if a roll-back returns to one that stable ran before.
FORMER_STABLE = "ADDRESSBOOK_FORMER_STABLE"


def former_stable() -> str:
    """Return the digest of the image that this update returns stable to; "" if it is not known to have run before."""
    return os.environ.get(FORMER_STABLE, "")


def wanted_version(configured: str, running: str) -> str:
    """Return the version that this update asks for: the configured one, or the running one if the platform is left.

    The way back must not fail because the cloud no longer offers what the stack file names, or offers it only after
    another version. ``running`` is "" if nothing runs.
    """
    return running if running and os.environ.get(LEAVE_PLATFORM) else configured
