"""Wait for an upgrade, which the provider starts and does not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pulumi

from components.digitalocean.doctl import DoctlError
from components.digitalocean.live import LiveVersion

#: Seconds between two looks.
POLL_SECONDS = 15.0
#: Seconds until the program gives up. DigitalOcean replaces the nodes one after another.
TIMEOUT_SECONDS = 3600.0


def upgraded(
    id: pulumi.Output[str], wanted: str, state: str, look: Callable[[str], LiveVersion | None]
) -> pulumi.Output[str]:
    """Return the id once ``look`` finds the wanted version in that state. A preview does not wait."""

    async def wait(known: str) -> str:
        if pulumi.runtime.is_dry_run():
            return known
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TIMEOUT_SECONDS
        while loop.time() < deadline:
            seen = await loop.run_in_executor(None, _look, look, known)
            if isinstance(seen, LiveVersion) and seen.state == state and seen.reaches(wanted):
                return known
            now = f"{seen.version}, {seen.state}" if isinstance(seen, LiveVersion) else seen
            pulumi.log.info(f"waiting for the upgrade to {wanted} (now: {now})", ephemeral=True)
            await asyncio.sleep(POLL_SECONDS)
        raise pulumi.RunError(
            f"the upgrade of {known} to {wanted} did not finish within {TIMEOUT_SECONDS / 60:.0f} minutes; run the"
            " command again once doctl shows the new version"
        )

    return id.apply(wait)


def _look(look: Callable[[str], LiveVersion | None], id: str) -> LiveVersion | str:
    """Return what is there, or why that is unknown for the moment."""
    try:
        return look(id) or "not listed"
    except DoctlError as error:
        return str(error)
