"""What a pull request's event means for its environment: a release stack on the platform that stacks.yaml names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import UsageError
from pipeline.touched import IN_USE, environments

#: A pull request with this label gets an environment. Only people who may triage can add a label.
LABEL = "environment"


@dataclass(frozen=True)
class Environment:
    """What to do with the stack ``name`` on the platform of the stack ``platform``, and why nothing."""

    action: Literal["up", "remove", "none"]
    name: str = ""
    platform: str = ""
    cloud: str = ""
    reason: str = ""


def environment(event: Mapping[str, Any], root: Path) -> Environment:
    """Return what the event of a pull request asks for. Raises UsageError if it is none, or stacks.yaml is invalid."""
    try:
        pull, number, action = event["pull_request"], int(event["number"]), event["action"]
        labels = {each["name"] for each in pull["labels"]}
        source, repository = pull["head"]["repo"], event["repository"]["full_name"]  # None: the fork was deleted
        author, is_open = pull["user"]["login"], pull["state"] == "open"
    except (KeyError, TypeError) as error:
        raise UsageError(f"--event: this is not the event of a pull request ({error})") from None
    if not source or source["full_name"] != repository:
        return Environment("none", reason="a pull request from a fork gets no environment")
    if author == "dependabot[bot]":
        return Environment("none", reason="a pull request from Dependabot gets no environment")
    platform = environments(root)
    if platform is None:
        return Environment(
            "none", reason=f"{IN_USE} names no stack for `environments`, so there is no platform for one"
        )
    changed = event.get("label", {}).get("name")
    wanted = Environment("up", f"pr-{number}", platform.stack, platform.cloud)
    removed = Environment("remove", f"pr-{number}", platform.stack, platform.cloud)
    match action:
        case "unlabeled":
            return removed if changed == LABEL else Environment("none", reason=f"the label `{changed}` is another one")
        case "labeled" if changed != LABEL:
            return Environment("none", reason=f"the label `{changed}` is another one")
        case _ if LABEL not in labels:
            return Environment("none", reason=f"the pull request does not have the label `{LABEL}`")
        case _:
            return wanted if is_open else removed


def section(platform: str, url: str, expires: str) -> str:
    """Return the section of the pull request's comment; without ``url`` it says that the environment is gone."""
    text = (
        f"{url} until {expires.replace('T', ' ').replace('Z', ' UTC')}, or until this is closed or loses the label"
        f" `{LABEL}`. Each push updates it and renews the time."
        if url
        else f"removed. While the pull request is open, adding the label `{LABEL}` again brings it back."
    )
    return f"<!-- environment of {platform} -->\n**Environment:** {text}"
