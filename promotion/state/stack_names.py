"""Names of stacks on Pulumi Cloud, where each organization may have a stack of the same name.

The engine looks for NAME only in the default organization, which differs from person to person. For some people, `up`
would miss a stack of another organization and create a second one.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from pulumi import automation

from promotion.errors import WRONG_USE, CommandError


def resolve(name: str, project: automation.LocalWorkspace, create: bool) -> str:
    """Return the name by which the engine finds the stack, in whichever organization it is.

    ``create``: the stack is created if there is none. Raises CommandError if several organizations have such a stack,
    or could get it; automation.CommandError if the backend does not answer.
    """
    if "/" in name or not _may_be_pulumi_cloud():
        return name
    user = project.who_am_i()
    if urlsplit(user.url or "").scheme not in ("http", "https"):
        return name
    matches = [each.name for each in project.list_stacks() if each.name.rpartition("/")[2] == name]
    if len(matches) > 1:
        names = ", ".join(each if "/" in each else f"{each} in the default organization" for each in matches)
        raise CommandError(
            f"stack `{name}` exists more than once ({names}): name it in full, such as --stack {max(matches, key=len)}",
            WRONG_USE,
        )
    if matches:
        return matches[0]
    owners: list[str] = sorted({user.user, *(user.organizations or [])})
    if create and len(owners) > 1:
        raise CommandError(
            f"stack `{name}` does not exist yet and could be created in {' or '.join(owners)}: name it in full, such as"
            f" --stack {owners[0]}/{name}",
            WRONG_USE,
        )
    return name


def beside(other: str, name: str, project: automation.LocalWorkspace) -> str:
    """Return the name for a new stack in the organization of the stack ``other``. Raises as ``resolve`` does."""
    owner = resolve(other, project, create=False).rpartition("/")[0].partition("/")[0]
    return f"{owner}/{name}" if owner else name


def _may_be_pulumi_cloud() -> bool:
    """Return whether the backend may be Pulumi Cloud, by the environment alone; asking the engine takes a second."""
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    return not url or urlsplit(url).scheme in ("http", "https")
