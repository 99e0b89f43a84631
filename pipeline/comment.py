"""One comment on a pull request for each stack, with a section for each kind of news: its preview, its environment."""

from __future__ import annotations

import re

from pipeline.errors import UsageError
from pipeline.github import GitHub

#: First line of a section, hidden on the page: what it is, and the stack, whose name may begin with its project.
MARKER = re.compile(r"<!-- (?P<kind>\w+) of (?:\S*/)?(?P<stack>[^\s/]+) -->")


def post(hub: GitHub, number: int, section: str) -> str:
    """Put the section into the stack's comment, and create that if there is none; return the comment's address.

    Only this user's own comments are edited. Raises UsageError if the section has no marker, StepError if GitHub
    refuses.
    """
    stack = _marker(section)["stack"]
    own = [each for each in hub.pages(f"issues/{number}/comments") if each["user"]["login"] == hub.author]
    for each in own:
        found = MARKER.match(each["body"])
        if found and found["stack"] == stack:
            body = with_section(each["body"], section)
            return str(hub.send("PATCH", f"issues/comments/{each['id']}", body=body)["html_url"])
    return str(hub.send("POST", f"issues/{number}/comments", body=section)["html_url"])


def with_section(body: str, section: str) -> str:
    """Return the comment with this section in place of its earlier version; sections are sorted by kind."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (*body.splitlines(), *section.splitlines()):
        if marker := MARKER.fullmatch(line):
            lines = sections[marker["kind"]] = []
        lines.append(line)
    return "\n\n".join("\n".join(lines).strip() for _, lines in sorted(sections.items()))


def _marker(section: str) -> re.Match[str]:
    found = MARKER.fullmatch((section.splitlines() or [""])[0])
    if not found:
        raise UsageError("the comment is empty or does not begin with a marker, such as <!-- preview of prod -->")
    return found
