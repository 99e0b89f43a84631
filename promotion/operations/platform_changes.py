"""Keep changes of the platform out of the steps of a release.

A provider may have upgraded a cluster, recommend another add-on, or somebody may have merged a change of the network. A
promotion must not apply it as a side effect.
"""

from __future__ import annotations

from typing import Literal

from promotion.errors import FAILED, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.operations.session import Session
from promotion.preview.planned import Change, Plan

#: What becomes of changes of the platform in an update. ``refuse``: the step forward is refused. ``leave``: the way
#: back to a working version does not wait for them. ``apply``: the update is about the whole stack.
PlatformChanges = Literal["refuse", "leave", "apply"]


def keeps_platform(session: Session) -> bool:
    """Return whether the release's steps must not change the platform: one of a cloud, and without ``--with-platform``.

    Nobody but this program changes the platform of a local stack, and a release stack has none of its own.
    """
    values = session.file.values()
    own = values.get("cloud", "local") != "local" and not values.get("platformStack")
    return own and not session.options.with_platform


def refuse_platform_changes(session: Session, planned: Plan, platform: PlatformChanges) -> None:
    """Raise CommandError if a step of the release would also change the platform."""
    changes = planned.platform_changes
    if not changes or not keeps_platform(session) or (platform == "apply" and not planned.moves_release):
        return
    if platform == "apply":
        remedy = "Apply the platform's changes in an update of their own first, or add --with-platform."
    else:
        remedy = (
            f"Apply these changes first with `python -m promotion up --stack {session.name}`, or add --with-platform."
        )
    raise CommandError(
        "\n".join(
            [
                f"stack `{session.name}`: refused, nothing was changed; `{session.command}` would change the release"
                " and the platform in one update:",
                *(f"  - {_shown(change)}" for change in changes),
                remedy,
            ]
        ),
        WRONG_USE,
    )


def up_without_platform(session: Session, message: str) -> None:
    """Update the release and leave the platform as it is. Raises CommandError.

    The engine refuses to leave a resource out if the program now uses another version of its provider. The way back is
    more important then: update the whole stack, but upgrade nothing.
    """
    run = session.engine
    excluded = run.excluded
    session.console.say(
        f"this update leaves the platform as it is; `python -m promotion up --stack {session.name}` applies its changes"
    )
    # What the state lacks is in the cloud's own components, by a wildcard of the engine.
    new = f"**::delivery:{session.file.values()['cloud']}:**"
    run.excluded = [*excluded, *session.state().platform, new]
    run.leaves_platform = True
    try:
        run.up(message)
    except CommandError as error:
        if error.code != FAILED or isinstance(error, UpdateInterruptedError) or run.failed:
            raise
        session.console.say("the update cannot leave the platform out (see above); repeating it with the platform")
        run.excluded = excluded
        run.up(message)
    finally:
        run.excluded, run.leaves_platform = excluded, False


def _shown(change: Change) -> str:
    """Return text such as ``update Addon vpc-cni: addonVersion``."""
    properties = ", ".join(change.properties[:5])
    return f"{change.operation} {change.kind} {change.name}{f': {properties}' if properties else ''}"
